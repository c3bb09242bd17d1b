"""What a node manager knows of the other nodes: as the GCS told it last, and what it has sent there since."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from raynb.runtime.core.node_identity import session_of
from raynb.runtime.core.placement import NodeView, Vector, add, fits, subtract, to_units
from raynb.runtime.messages.nodes import ClusterView

DEAD_MAX: Final = 1000


class _Promise(Struct):
    """Something that is about to be taken at a manager: so often this, which counts as taken until then."""

    manager: str
    need: Vector
    count: int
    until: float


class Peers:
    """The living nodes but this one.

    Attributes
    ----------
    views
        By address of the manager.
    """

    def __init__(self, node_id: bytes) -> None:
        self._node_id = node_id
        self.views: dict[str, NodeView] = {}
        self._dead: dict[str, None] = {}
        """Managers that have died; a view may be older than that."""
        self._promised: list[_Promise] = []

    def __repr__(self) -> str:
        return f"<Peers {len(self.views)}>"

    def __bool__(self) -> bool:
        """Whether there are others."""
        return bool(self.views)

    def take(self, message: ClusterView) -> list[tuple[str, int]]:
        """The GCS tells what has changed. Gives the managers that are new, with their pids."""
        new: list[tuple[str, int]] = []
        for row in message.nodes:
            if row.node_id == self._node_id or row.manager in self._dead:
                continue
            if row.alive:
                available = to_units(row.available)
                if (before := self.views.get(row.manager)) is None:
                    new.append((row.manager, row.pid))
                else:
                    self._was_taken(row.manager, before.available, available)
                self.views[row.manager] = NodeView(row.node_id, to_units(row.total), available, row.manager, row.labels)
            else:
                self.views.pop(row.manager, None)
        return new

    def manager_of(self, address: str) -> str:
        """The manager of a process, by their addresses; empty if it is of none of these nodes."""
        session = session_of(address)
        return next((manager for manager in self.views if session_of(manager) == session), "")

    def gone(self, manager: str) -> None:
        """A process has died; if it is a manager, its node is not heeded any more."""
        if self.views.pop(manager, None) is not None:
            self._dead[manager] = None
            if len(self._dead) > DEAD_MAX:
                del self._dead[next(iter(self._dead))]

    def promise(self, manager: str, need: Vector, count: int, until: float) -> None:
        """So much of what is free there is about to be taken."""
        self._promised.append(_Promise(manager, need, count, until))

    def _was_taken(self, manager: str, before: Vector, now: Vector) -> None:
        """So much less is free there by now: what was promised is seen, and must not count twice."""
        taken = {name: units - now.get(name, 0) for name, units in before.items()}
        for promise in self._promised:
            while promise.manager == manager and promise.need and promise.count and fits(promise.need, taken):
                subtract(taken, promise.need)
                promise.count -= 1

    def expected(self, now: float) -> list[NodeView]:
        """The nodes as they are likely to be; what is available may be changed by whoever asks."""
        self._promised = [promise for promise in self._promised if promise.until > now and promise.count]
        taken: dict[str, Vector] = {}
        for promise in self._promised:
            units = {name: value * promise.count for name, value in promise.need.items()}
            add(taken.setdefault(promise.manager, {}), units)
        found = []
        for view in self.views.values():
            available = dict(view.available)
            subtract(available, taken.get(view.manager, {}))
            found.append(NodeView(view.node_id, view.total, available, view.manager, view.labels))
        return found
