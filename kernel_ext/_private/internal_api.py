"""Memory, under the names of ``ray._private.internal_api``."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from typing import Any, Final

from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.api.cluster import QUERY_TIMEOUT_S
from raynb.runtime.api.session import connect
from raynb.runtime.client.client import RECHECK_S
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.node import CollectGarbage
from raynb.runtime.messages.sizes import size_text
from raynb.util.state_source import ask

UNITS: Final = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
SORTS: Final = {"OBJECT_SIZE": "object_size", "PID": "pid", "REFERENCE_TYPE": "reference_type"}
ROWS_MAX: Final = 10_000
MIB: Final = 2**20

__all__ = ["free", "global_gc", "memory_summary"]


def free(object_refs: ObjectRef[Any] | Sequence[ObjectRef[Any]], local_only: bool = False) -> None:
    """Give up values of this process's own by hand: to read one is an `ObjectFreedError` then.

    Parameters
    ----------
    local_only
        Refused: a value has one place.
    """
    if local_only:
        raise ValueError("free(local_only=True) is not supported: raynb frees an object wherever it is")
    refs = [object_refs] if isinstance(object_refs, ObjectRef) else list(object_refs)
    for ref in refs:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"Attempting to call `free` on the value {ref}, which is not an ray.ObjectRef.")
    client = connect()

    def give_up() -> None:
        now = time.monotonic()
        client.host.read_inbox(now)
        freed = client.machine.objects.freed
        for ref in refs:
            if freed.refusal(ref._id) == "":
                freed.free(ref._id, now)
        client.host.tick(now)

    client.host.run(give_up, RECHECK_S)


def global_gc() -> None:
    """Collect what is garbage of Python's, in all processes of the cluster; in others soon."""
    gc.collect()
    client = connect()
    client.send(client.node_manager, CollectGarbage(everywhere=True))


def memory_summary(
    address: str | None = None,
    redis_password: str | None = None,
    group_by: str = "NODE_ADDRESS",
    sort_by: str = "OBJECT_SIZE",
    units: str = "B",
    line_wrap: bool = True,
    stats_only: bool = False,
    num_entries: int | None = None,
) -> str:
    """The objects of all processes and how full the stores are, as text.

    Parameters
    ----------
    address
        Of the cluster; None: of this process's.
    sort_by
        ``OBJECT_SIZE``, ``PID`` or ``REFERENCE_TYPE``.
    units
        Of sizes: B, KB, MB or GB.
    stats_only
        Without the objects.
    num_entries
        So many objects at most.
    redis_password, group_by, line_wrap
        Without effect.
    """
    if units not in UNITS:
        raise ValueError(f"units must be one of {', '.join(UNITS)}, not {units!r}")
    if sort_by not in SORTS:
        raise ValueError(f"sort_by must be one of {', '.join(SORTS)}, not {sort_by!r}")
    known = ask(address, "nodes", QUERY_TIMEOUT_S, limit=ROWS_MAX, detail=True)["rows"]
    text = _stores([row for row in known if row["state"] == "ALIVE"])
    if stats_only:
        return text
    found = ask(address, "references", QUERY_TIMEOUT_S, limit=ROWS_MAX, detail=True)["rows"]
    found.sort(key=lambda row: row[SORTS[sort_by]], reverse=sort_by == "OBJECT_SIZE")
    lines = [
        f"{row['ip']}  {row['pid']}  {row['type']}  {row['call_site']}  {row['task_status']}  {row['attempt_number']}  "
        f"{row['object_size'] / UNITS[units]:.10g} {units}  {row['reference_type']}  {row['object_id']}"
        for row in found[:num_entries]
    ]
    total = sum(max(row["object_size"], 0) for row in found)
    head = f"--- {len(found)} objects, {size_text(total)} (node, process, made at, task, attempt, size, reference, id)"
    return "\n".join([head, *lines, text])


def _stores(nodes: list[dict[str, Any]]) -> str:
    used, room = (sum(row[f"store_{what}_bytes"] for row in nodes) for what in ("used", "capacity"))
    count = sum(row["store_objects"] for row in nodes)
    full = round(100 * used / room, 2) if room else 0.0
    return (
        "--- Aggregate object store stats across all nodes ---\n"
        f"Plasma memory usage {used // MIB} MiB, {count} objects, {full}% full, {full}% needed\n"
    )


__getattr__ = absent_names(
    "_private.internal_api",
    dict.fromkeys(
        (
            "get_local_ongoing_lineage_reconstruction_tasks", "get_memory_info_reply", "get_state_from_address",
            "node_stats", "store_stats_summary",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
