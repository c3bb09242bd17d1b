"""``raynb.util.state``'s part about counts."""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.summary import actors_by_class, megabytes, objects_by_site
from raynb.util.state_source import NOT_OUR_OWN, ask

ROWS_MAX = 10_000


def summarize_tasks(
    address: str | None = None, timeout: float = 30, raise_on_missing_output: bool = True
) -> dict[str, Any]:
    """How many tasks of each function are in each state; exact, whatever the listing may have dropped.

    Returns
    -------
    dict
        ``{"cluster": {"summary": {name: {"func_or_class_name", "type", "state_counts"}}, "total_tasks", ...}}``, as
        Ray's.
    """
    found = ask(address, "task_summary", timeout, limit=ROWS_MAX)
    summary = {row["func_or_class_name"]: row for row in found.pop("rows")}
    return {"cluster": {"summary": summary, "summary_by": "func_name", **found}}


def summarize_actors(
    address: str | None = None, timeout: float = 30, raise_on_missing_output: bool = True
) -> dict[str, Any]:
    """How many actors of each class are in each state.

    Returns
    -------
    dict
        ``{"cluster": {"summary": {class: {"class_name", "state_counts"}}, "total_actors", "summary_by"}}``.
    """
    rows = ask(address, "actors", timeout, limit=ROWS_MAX, filters=[NOT_OUR_OWN])["rows"]
    return {"cluster": {"summary": actors_by_class(rows), "summary_by": "class", "total_actors": len(rows)}}


def summarize_objects(
    address: str | None = None, timeout: float = 30, raise_on_missing_output: bool = True
) -> dict[str, Any]:
    """How many objects were made at each place, and how large they are in all.

    Returns
    -------
    dict
        ``{"cluster": {"summary": {call site: {"total_objects", "total_size_mb", "total_num_workers",
        "total_num_nodes", "task_state_counts", "ref_type_counts"}}, "total_objects", "total_size_mb", ...}}``.
    """
    rows = ask(address, "objects", timeout, whole=raise_on_missing_output, limit=ROWS_MAX, detail=True)["rows"]
    whole = {"total_objects": len(rows), "total_size_mb": megabytes(rows), "callsite_enabled": True}
    return {"cluster": {"summary": objects_by_site(rows), "summary_by": "callsite", **whole}}
