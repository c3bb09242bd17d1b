"""Messages about placement groups: a client asks the GCS, which reserves their bundles at node managers in two phases.

A *bundle* is a set of resources on one node. The GCS asks each node that is to have some of them to *reserve* these.
When all have, it has them *committed*: from then on the bundles are resources of their own, which tasks can ask for.
Where one node refuses, the others give back what they have reserved, and it is tried again later.

All of it may safely arrive twice. ``attempt`` counts the tries of one group: what belongs to an earlier one is void.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.strategy import LabelRule

Bundle = tuple[int, dict[str, float]]
"""Its number in the group, and its resources."""


class CreateGroup(Struct, array_like=True, gc=False, tag=140):
    """Client -> GCS. Answered by a `Reply` once durable; the group may be placed much later."""

    request: int
    group: bytes
    bundles: list[dict[str, float]]
    strategy: str
    """PACK | SPREAD | STRICT_PACK | STRICT_SPREAD"""
    name: str
    namespace: str
    detached: bool
    job: bytes
    labels: list[tuple[LabelRule, ...]] = []
    """For each bundle what is asked of its node; empty: nothing is."""
    together: str = ""
    """A label of which all its nodes have the same value; empty: none."""
    target: bytes = b""
    """The node that is the first choice; empty: none is."""
    actor: bytes = b""
    incarnation: int = 0
    """The actor's life that asks for it; without one it is the driver's, or a task's."""


class RemoveGroup(Struct, array_like=True, gc=False, tag=141):
    """Client -> GCS: what runs in it is ended. Answered by a `Reply` once durable; it is no error if it is gone."""

    request: int
    group: bytes


class ReserveBundles(Struct, array_like=True, gc=False, tag=142):
    """GCS -> node manager: hold these resources free. Answered by `BundlesReserved`."""

    group: bytes
    attempt: int
    bundles: list[Bundle]


class BundlesReserved(Struct, array_like=True, gc=False, tag=143):
    """Node manager -> GCS. ``missing`` is empty if they are; else it says for people what is not free."""

    group: bytes
    attempt: int
    missing: str = ""


class CommitBundles(Struct, array_like=True, gc=False, tag=144):
    """GCS -> node manager: tasks may use them. Answered by `BundlesCommitted`; a node that has not reserved them in
    this attempt is silent."""

    group: bytes
    attempt: int


class BundlesCommitted(Struct, array_like=True, gc=False, tag=145):
    """Node manager -> GCS."""

    group: bytes
    attempt: int


class KeepBundles(Struct, array_like=True, gc=False, tag=147):
    """GCS -> node manager, when that has registered. Attempts before ``first_attempt`` were an earlier GCS's: of what
    they have placed there, these bundles (group, number) are known; the others are dropped. The groups in ``removed``
    may have been removed while the node was not there: what waits for them fails."""

    first_attempt: int
    bundles: list[tuple[bytes, int]]
    removed: list[bytes] = []


class ReturnBundles(Struct, array_like=True, gc=False, tag=146):
    """GCS -> node manager: give back what it holds for this group (with ``attempt``: what it has reserved in that one).
    ``removed``: there is no such group any more; what runs in it is ended, and what waits for it fails."""

    group: bytes
    attempt: int
    removed: bool = False
