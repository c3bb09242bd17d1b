"""``raynb list``, ``raynb summary`` and ``raynb timeline``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import typer

from raynb.runtime.adapters.registry import find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.cli.show import print_json, print_records, print_table, print_yaml
from raynb.runtime.client.derived_tables import DERIVED
from raynb.runtime.core.memory_table import UNITS, stores_text
from raynb.runtime.core.summary import actors_by_class, megabytes, objects_by_site
from raynb.runtime.core.views import page as only

FILTER: Final = re.compile(r"(?P<field>\w+)\s*(?P<operator>!=|=)\s*(?P<value>.*)", re.DOTALL)
PRINTERS: Final = {"json": print_json, "yaml": print_yaml}
STATES: Final = (
    "PENDING_ARGS_AVAIL",
    "PENDING_NODE_ASSIGNMENT",
    "SUBMITTED_TO_WORKER",
    "RUNNING",
    "FINISHED",
    "FAILED",
)


def parse_filter(text: str) -> tuple[str, str, str]:
    """``FIELD=VALUE`` or ``FIELD!=VALUE``.

    Raises
    ------
    ValueError
        It is neither.
    """
    match = FILTER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"the filter {text!r} is neither FIELD=VALUE nor FIELD!=VALUE")
    return match["field"], match["operator"], match["value"]


def show(
    address: str, table: str, filters: Sequence[str], limit: int, detail: bool, form: str, timeout_s: float
) -> None:
    """Print a table of a cluster, as ``json``, as ``yaml``, as a ``table``, or as suits it."""
    parsed = [parse_filter(text) for text in filters]
    if table in DERIVED:
        page = _derived(address, table, parsed, limit, timeout_s)
    else:
        entry = find(address or "auto")
        with Requester(entry.session_dir) as guest:
            page = guest.query(entry.gcs_address, table, parsed, limit, detail=detail, timeout_s=timeout_s)
    rows: list[dict[str, Any]] = page["rows"]
    if form in PRINTERS:
        PRINTERS[form](rows)
    elif rows and detail and form != "table":
        print_records(rows)
    elif rows:
        columns = list(rows[0])
        print_table([column.upper() for column in columns], [[row[name] for name in columns] for row in rows])
    else:
        typer.echo(f"No {spoken(table)}.")
    for words in remarks(table, page):
        typer.echo(words, err=True)


def _derived(
    address: str, table: str, filters: Sequence[tuple[str, str, str]], limit: int, timeout_s: float
) -> dict[str, Any]:
    """A page of a table that is made of others; of events the newest."""
    make, fields = DERIVED[table]
    rows = make(lambda of: _all_rows(address, of, timeout_s))
    found = only(rows, fields, filters, -1).rows
    shown = found[max(0, len(found) - limit) :] if table == "cluster_events" else found[:limit]
    return {"rows": shown, "total": len(found), "dropped": 0}


def remarks(table: str, page: dict[str, Any]) -> list[str]:
    """What is not among the rows, and why."""
    words: list[str] = []
    shown, total, table = len(page["rows"]), page["total"], spoken(table)
    if total > shown:
        words.append(f"{shown} of {total} {table}: more with --limit, fewer with --filter.")
    if page["dropped"]:
        words.append(f"{page['dropped']} more {table} are not kept any more; `raynb summary tasks` counts them too.")
    if page.get("unanswered"):
        words.append(f"{page['unanswered']} processes were too busy to answer: their {table} are missing.")
    return words


def spoken(table: str) -> str:
    """What people call its rows."""
    return table.replace("_", " ")


def show_one(address: str, table: str, id: str, as_json: bool, timeout_s: float) -> None:
    """Print all that is known of one task, actor, object...

    Raises
    ------
    ValueError
        It isn't known.
    """
    if table == "runtime_envs":
        raise ValueError("runtime envs have no ids: `raynb list runtime-envs` has all of them")
    if table in DERIVED:
        rows = _derived(address, table, [("event_id", "=", id)], 1, timeout_s)["rows"]
    else:
        entry = find(address or "auto")
        with Requester(entry.session_dir) as guest:
            rows = guest.query(entry.gcs_address, table, id=id, detail=True, limit=-1, timeout_s=timeout_s)["rows"]
    if not rows:
        one, listed = spoken(table).removesuffix("s"), table.replace("_", "-")
        raise ValueError(f"there is no {one} {id!r}: `raynb list {listed}` has those that there are")
    print_json(rows) if as_json else print_records(rows)


def _all_rows(address: str, table: str, timeout_s: float = 10.0) -> list[dict[str, Any]]:
    entry = find(address or "auto")
    with Requester(entry.session_dir) as guest:
        page = guest.query(entry.gcs_address, table, limit=-1, detail=True, timeout_s=timeout_s)
    rows: list[dict[str, Any]] = page["rows"]
    return rows


def show_actor_summary(address: str, as_json: bool, timeout_s: float) -> None:
    """Print counts of actors by class."""
    summary = actors_by_class(_all_rows(address, "actors", timeout_s))
    if as_json:
        print_json(list(summary.values()))
        return
    used = sorted({state for entry in summary.values() for state in entry["state_counts"]})
    lines = [[name, *(entry["state_counts"].get(state, 0) for state in used)] for name, entry in summary.items()]
    print_table(["CLASS", *used], lines) if lines else typer.echo("No actors so far.")


def show_object_summary(address: str, as_json: bool, timeout_s: float) -> None:
    """Print counts and sizes of objects by the place where they were made."""
    summary = objects_by_site(_all_rows(address, "objects", timeout_s))
    if as_json:
        print_json(summary)
        return
    ordered = sorted(summary.items(), key=lambda pair: -pair[1]["total_size_mb"])
    lines = [[site, entry["total_objects"], entry["total_size_mb"]] for site, entry in ordered]
    print_table(["MADE AT", "OBJECTS", "MIB"], lines) if lines else typer.echo("No objects.")


def show_memory(address: str, limit: int, as_json: bool, sort_by: str, unit: str) -> None:
    """Print who holds what: objects, with each process that refers to one, and where they were made."""
    rows = _all_rows(address, "references")
    if sort_by != "OBJECT_SIZE":  # they come by that
        rows.sort(key=lambda row: row[sort_by.lower()])
    if as_json:
        print_json(rows[:limit])
        return
    lines = [
        [
            row["object_id"], f"{row['object_size'] / UNITS[unit]:.10g}", row["reference_type"], row["type"],
            row["pid"], row["call_site"] or "-",
        ]
        for row in rows[:limit]
    ]  # fmt: skip
    if lines:
        print_table(["OBJECT", "BYTES" if unit == "B" else unit, "REFERENCE", "HELD BY", "PID", "MADE AT"], lines)
    objects = {row["object_id"]: row for row in rows}
    typer.echo(f"{len(objects)} objects, {megabytes(objects.values()):g} MiB.")
    typer.echo(stores_text([row for row in _all_rows(address, "nodes") if row["state"] == "ALIVE"], rows), nl=False)


def show_summary(address: str, as_json: bool, timeout_s: float) -> None:
    """Print counts of tasks by function."""
    entry = find(address or "auto")
    with Requester(entry.session_dir) as guest:
        page = guest.query(entry.gcs_address, "task_summary", limit=-1, timeout_s=timeout_s)
    rows: list[dict[str, Any]] = page["rows"]
    if as_json:
        print_json(page)
    elif not rows:
        typer.echo("No tasks so far.")
    else:
        used = [state for state in STATES if any(row["state_counts"].get(state) for row in rows)]
        lines = [
            [row["func_or_class_name"], row["type"], *(row["state_counts"].get(state, 0) for state in used)]
            for row in rows
        ]
        print_table(["FUNCTION", "TYPE", *used], lines)


def write_timeline(address: str, file: Path) -> None:
    """Write the Chrome trace of a cluster."""
    entry = find(address or "auto")
    with Requester(entry.session_dir) as guest:
        events = guest.timeline(entry.gcs_address)
    file.write_text(json.dumps(events))
    tasks = sum(event["ph"] == "X" and event["cat"].startswith("task::") for event in events)
    typer.echo(f"Wrote {tasks} tasks to {file}: open it in ui.perfetto.dev.")
