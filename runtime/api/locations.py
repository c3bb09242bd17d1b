"""Where objects are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from raynb.runtime.api.cluster import query
from raynb.runtime.api.session import connect, is_initialized
from raynb.runtime.client.client import Client
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.copies import LocateObjects, Location
from raynb.runtime.messages.errors import GetTimeoutError

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
        and ``did_spill``: whether it lies on disk now. A small object is where its owner is.

    Raises
    ------
    RuntimeError
        This process is not connected to a cluster.
    TypeError
        Something is no reference.
    """
    client = _connected(obj_refs)
    # What was put just now counts: the machine has not looked, perhaps.
    new = [ref._id for ref in obj_refs if ref._owner == client.address and not client.is_ready(ref)]
    if new:
        client.wait_for(new, len(new), 0.0)
    found: dict[ObjectRef[Any], Location] = {}
    for owner, refs in _by_owner(obj_refs).items():
        found |= zip(refs, _ask(client, owner, refs, PATIENCE_S if timeout_ms < 0 else timeout_ms / 1000), strict=True)
    ids = _node_ids()
    return {ref: _told(found[ref], ids) for ref in obj_refs}


def get_local_object_locations(obj_refs: Sequence[ObjectRef[Any]]) -> dict[ObjectRef[Any], dict[str, Any]]:
    """The same as far as this process itself knows it: nobody is asked. What nothing is known of is left out.

    Raises
    ------
    RuntimeError
        This process is not connected to a cluster.
    TypeError
        Something is no reference.
    """
    client = _connected(obj_refs)
    ids = _node_ids()
    known = client.machine.objects.entries
    return {ref: _told(client.machine.objects.directory.locate(ref._id), ids) for ref in obj_refs if ref._id in known}


def _connected(refs: Any) -> Client:
    """The connection, where these are references; to look starts no cluster."""
    if not isinstance(refs, Iterable) or not all(isinstance(ref, ObjectRef) for ref in refs):
        raise TypeError(f"the location of references is asked for: a list of them is needed, not {refs!r}")
    if not is_initialized():
        raise RuntimeError("Ray hasn't been initialized: call init() first")
    return connect()


def _node_ids() -> dict[str, str]:
    """In hex, by the address of the node's manager."""
    return {row["address"]: row["node_id"] for row in query("nodes", limit=10_000, detail=True)["rows"]}


def _by_owner(refs: Sequence[ObjectRef[Any]]) -> dict[str, list[ObjectRef[Any]]]:
    found: dict[str, list[ObjectRef[Any]]] = {}
    for ref in refs:
        found.setdefault(ref._owner, []).append(ref)
    return found


def _ask(client: Client, owner: str, refs: list[ObjectRef[Any]], patience_s: float) -> list[Location]:
    """What the owner knows; what is known here, if that is this process, or does not answer."""
    if owner != client.address and owner not in client.machine.objects.dead:
        with suppress(GetTimeoutError):
            answer = client.request(owner, LocateObjects(0, [ref._id for ref in refs]), patience_s)
            return msgspec.msgpack.decode(answer, type=list[Location])
    return [client.machine.objects.directory.locate(ref._id) for ref in refs]


def _told(location: Location, ids: dict[str, str]) -> dict[str, Any]:
    nodes = [ids[address] for address in location.nodes if address in ids]
    return {"node_ids": nodes, "object_size": location.size if nodes else None, "did_spill": location.spilled}
