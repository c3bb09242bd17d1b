"""``raynb.util.state``'s part about counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from raynb.runtime.api.cluster import query
from raynb.runtime.api.session import connect

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
    connect().flush_events()
    found = query("task_summary", timeout_s=timeout, limit=ROWS_MAX)
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
    rows = query("actors", timeout_s=timeout, limit=ROWS_MAX)["rows"]
    summary: dict[str, Any] = {}
    for row in rows:
        name = row["class_name"]
        counts = summary.setdefault(name, {"class_name": name, "state_counts": Counter()})["state_counts"]
        counts[row["state"]] += 1
    for entry in summary.values():
        entry["state_counts"] = dict(entry["state_counts"])
    return {"cluster": {"summary": summary, "summary_by": "class", "total_actors": len(rows)}}


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
    rows = query("objects", timeout_s=timeout, limit=ROWS_MAX, detail=True)["rows"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["call_site"] or "unknown", []).append(row)
    summary = {
        site: {
            "total_objects": len(group),
            "total_size_mb": _megabytes(group),
            "total_num_workers": len({row["pid"] for row in group}),
            "total_num_nodes": len({row["ip"] for row in group}),
            "task_state_counts": dict(Counter(row["task_status"] or "NIL" for row in group)),
            "ref_type_counts": dict(Counter(row["reference_type"] for row in group)),
        }
        for site, group in groups.items()
    }
    whole = {"total_objects": len(rows), "total_size_mb": _megabytes(rows), "callsite_enabled": True}
    return {"cluster": {"summary": summary, "summary_by": "callsite", **whole}}


def _megabytes(rows: list[dict[str, Any]]) -> float:
    sizes: list[int] = [max(0, row["object_size"]) for row in rows]
    return round(sum(sizes) / 2**20, 3)
