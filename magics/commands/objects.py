"""`%raynb objects`: what is stored, how large it is, and which name of the notebook holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from raynb.magics.amounts import count, short_task, size
from raynb.magics.arguments import Options, option, whole
from raynb.magics.connected import cell_label, need_cluster
from raynb.magics.errors import OptionError
from raynb.magics.holders import held_by
from raynb.magics.session import Session
from raynb.magics.table import Table
from raynb.runtime.api.cluster import object_store_usage, query
from raynb.runtime.client.client import Client
from raynb.runtime.messages.ids import PUT_INDEX_BASE, TASK_ID_BYTES, index_of
from raynb.runtime.messages.sizes import size_text
from raynb.runtime.messages.values import ValueKind

LIMIT_MAX = 10_000
NAMES_SHOWN = 4


@dataclass(frozen=True)
class ObjectsOptions(Options):
    """List objects, the largest first: who holds them by the notebook's names, size, where they came from.

    An array or dataframe that `get` gave views the object's memory, and holds it as a reference does. Names are those
    of this notebook, as of now; containers are looked into one level deep.
    """

    usage: ClassVar[str] = "%raynb objects [options]"

    limit: int = field(
        default=20,
        metadata=option("list so many at most (20)", metavar="N", read=whole),
    )
    unnamed: bool = field(
        default=False,
        metadata=option("only those that no name of the notebook holds"),
    )


def objects(options: ObjectsOptions, session: Session) -> Table:
    """A row for each, and how full the store is."""
    if options.limit > LIMIT_MAX:
        raise OptionError(f"--limit is at most {LIMIT_MAX}")
    client = need_cluster()
    names = held_by(session.namespace, client, session.history)
    page = query("objects", limit=LIMIT_MAX if options.unnamed else options.limit, detail=True)
    found: list[dict[str, Any]] = page["rows"]
    if options.unnamed:
        found = [row for row in found if bytes.fromhex(row["object_id"]) not in names]
    rows = found[: options.limit]
    total = len(found) if options.unnamed else page["total"]
    made_by = _makers(rows)
    usage = object_store_usage()
    notes = [
        f"The store has {size_text(usage['used_bytes'])} of {size(usage['capacity_bytes'])} taken.",
        f"{total - len(rows):,} smaller ones are left out: --limit." if total > len(rows) else "",
        f"{count(page['unanswered'], 'process')} did not answer: what they own is missing."
        if page["unanswered"]
        else "",
    ]
    columns = ("held by", "object", "type", "size", "state", "made by", "references", "tasks", "borrowers", "owner")
    return Table(
        f"{count(total, 'object')}{' that no name holds' if options.unnamed else ''}",
        columns,
        (_row(row, names, made_by, client) for row in rows),
        numbers=("size", "references", "tasks", "borrowers"),
        notes=notes,
    )


def _row(
    row: dict[str, Any], names: dict[bytes, list[str]], made_by: dict[bytes, dict[str, Any]], client: Client
) -> list[Any]:
    oid = bytes.fromhex(row["object_id"])
    holders = names.get(oid, []) + row["used_by"]
    more = f" and {len(holders) - NAMES_SHOWN} more" if len(holders) > NAMES_SHOWN else ""
    task = made_by.get(oid[:TASK_ID_BYTES])
    put, index = index_of(oid) >= PUT_INDEX_BASE, index_of(oid)
    actor = task is not None and task["type"] == "ACTOR_CREATION_TASK"
    owner = "" if row["pid"] == client.pid else f"{row['type'].lower()} (pid {row['pid']})"
    return [
        ", ".join(holders[:NAMES_SHOWN]) + more,
        short_task(row["object_id"]) + (f".{index}" if not put and index > 1 else ""),
        "(an actor)" if actor else _kind(row),
        size(row["object_size"]),
        "" if actor else row["state"],
        "put" if put else _site(task),
        row["local_references"] or "",
        row["pending_tasks"] or "",
        row["borrowers"] or "",
        owner,
    ]


def _kind(row: dict[str, Any]) -> str:
    shape = row["value_shape"]
    return str(ValueKind(row["value_type"], None if shape is None else tuple(shape), row["value_dtype"]))


def _site(task: dict[str, Any] | None) -> str:
    """The function, and the cell that called it or the line where it is defined."""
    if task is None:
        return ""
    where = cell_label(task["cell"])
    if not where and task["call_site"] and not task["name"].startswith("In["):
        where = task["call_site"].rsplit("/", 1)[-1]
    return f"{task['name']} ({where})" if where and where != task["name"] else str(task["name"])


def _makers(rows: list[dict[str, Any]]) -> dict[bytes, dict[str, Any]]:
    """The tasks that made these, by id."""
    wanted = {row["object_id"][: 2 * TASK_ID_BYTES] for row in rows}
    found: dict[bytes, dict[str, Any]] = {}
    for task_id in wanted:
        tasks = query("tasks", id=task_id, detail=True)["rows"]
        if tasks:
            found[bytes.fromhex(task_id)] = tasks[-1]
    return found
