"""Messages between the nodes of a cluster, and between a client and the managers of other nodes than its own.

The GCS tells each manager what the other nodes have (`ClusterView`), as soon as there are several. A client states its
demands to its own manager. What that can't meet it has the client state elsewhere (`LeaseSpill`): the sum of a client's
levels at all managers is its demand. Grants come from whoever grants, and go back there.
"""

from __future__ import annotations

from msgspec import Struct


class NodeRow(Struct, array_like=True, frozen=True, gc=False):
    """What a node is and has, as it told the GCS last. Names of placement groups' resources are among the others."""

    node_id: bytes
    manager: str
    total: dict[str, float]
    available: dict[str, float]
    labels: dict[str, str] = {}
    alive: bool = True
    pid: int = 0
    is_head: bool = False


class ClusterView(Struct, array_like=True, gc=False, tag=200):
    """GCS -> node manager: the nodes that have changed since it was told last; at first, all of them."""

    nodes: list[NodeRow]


class LeaseSpill(Struct, array_like=True, gc=False, tag=201):
    """Node manager -> client: state ``count`` of the demand ``key`` (as a level) at another manager.

    Attributes
    ----------
    number
        Counts what the sender has spilled: the client repeats it in its next `LeaseDemand` here.
    wait
        Whether it is to wait there, since only nodes like that one can ever meet it. Otherwise it is granted there at
        once or declined.
    full
        Whether the sender could meet it if what it has leased were free: a client that has leases there that idle gives
        them back instead of going elsewhere.
    """

    key: int
    manager: str
    count: int
    number: int
    wait: bool = False
    full: bool = False


class LeaseDeclined(Struct, array_like=True, gc=False, tag=202):
    """Node manager -> client of another node: of the demand ``key`` it has granted ``count``, and grants no more now.
    The rest is its own manager's again. ``number`` is that of the `LeaseDemand` that is meant: if the client has stated
    something else meanwhile, that is answered by itself."""

    key: int
    count: int
    number: int
