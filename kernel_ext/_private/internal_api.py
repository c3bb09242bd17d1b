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
from raynb.runtime.core.memory_table import Layout, memory_text, stores_text
from raynb.runtime.messages.node import CollectGarbage
from raynb.util.state_source import ask

ROWS_MAX: Final = 10_000

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
    """The objects of all processes and how full the stores are, as text: also what of them lies on disk just now.

    Parameters
    ----------
    address
        Of the cluster; None: of this process's.
    group_by
        ``NODE_ADDRESS`` or ``STACK_TRACE``: where the references were made.
    sort_by
        ``OBJECT_SIZE``, ``PID`` or ``REFERENCE_TYPE``.
    units
        Of sizes: B, KB, MB or GB.
    stats_only
        Without the objects.
    num_entries
        So many of each group at most.
    redis_password, line_wrap
        Without effect.
    """
    layout = Layout(group_by, sort_by, units, num_entries)
    layout.check()
    nodes, found = (
        ask(address, table, QUERY_TIMEOUT_S, limit=ROWS_MAX, detail=True)["rows"] for table in ("nodes", "references")
    )
    stores = stores_text([row for row in nodes if row["state"] == "ALIVE"], found)
    return stores if stats_only else f"{memory_text(found, layout)}\n{stores}"


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
