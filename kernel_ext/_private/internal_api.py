"""Memory, under the names of ``ray._private.internal_api``."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from typing import Any

from raynb.runtime.api.cluster import query
from raynb.runtime.api.session import connect
from raynb.runtime.client.client import RECHECK_S
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.sizes import size_text

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
    """Collect what is garbage in this process."""
    gc.collect()


def memory_summary(stats_only: bool = False, num_entries: int | None = None) -> str:
    """The objects of all processes and how large they are, as text."""
    rows = query("objects", limit=10_000 if num_entries is None else num_entries, detail=True)["rows"]
    total = sum(max(row["object_size"], 0) for row in rows)
    lines = [f"{len(rows)} objects, {size_text(total)}"]
    if not stats_only:
        lines += [
            f"{row['ip']}  {row['pid']}  {row['type']}  {row['call_site']}  {row['task_status']}  "
            f"{row['object_size']} B  {row['reference_type']}  {row['object_id']}"
            for row in rows
        ]
    return "\n".join(lines)
