"""Where objects are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raynb.runtime.api.session import connect
from raynb.runtime.client.client import Client
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.values import Failed, Stored

PATIENCE_S = 5.0
"""How long an owner elsewhere may take to say where an object is, unless the caller says otherwise."""


def get_object_locations(
    obj_refs: Sequence[ObjectRef[Any]], timeout_ms: int = -1
) -> dict[ObjectRef[Any], dict[str, Any]]:
    """Where objects are.

    Parameters
    ----------
    timeout_ms
        How long to wait for what the owners of other processes' objects say; -1: as long as they need.

    Returns
    -------
    dict
        For each reference ``node_ids`` (in hex; empty: it is not there), ``object_size`` in bytes (None: not known)
        and ``did_spill``. A small object is where its owner is.
    """
    client = connect()
    missing = [ref for ref in obj_refs if not client.is_ready(ref)]
    if missing:
        # What was put just now counts; what this process has to make itself is not waited for.
        elsewhere = any(ref._owner != client.address for ref in missing)
        patience_s = PATIENCE_S if timeout_ms < 0 else timeout_ms / 1000
        client.wait_for([ref._id for ref in missing], len(missing), patience_s if elsewhere else 0.0)
    return {ref: _location(client, ref) for ref in obj_refs}


def _location(client: Client, ref: ObjectRef[Any]) -> dict[str, Any]:
    entry = client.machine.objects.entries.get(ref._id)
    value = None if entry is None else entry.value
    if value is None or isinstance(value, Failed):
        return {"node_ids": [], "object_size": None, "did_spill": False}
    size = value.size if isinstance(value, Stored) else len(value.data) + sum(map(len, value.buffers or ()))
    return {"node_ids": [client.joined.node_id.hex()], "object_size": size, "did_spill": False}
