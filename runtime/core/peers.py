"""What a node manager knows of the other nodes of its cluster: as the GCS told it last."""

from __future__ import annotations

from raynb.runtime.core.placement import NodeView, to_units
from raynb.runtime.messages.nodes import ClusterView


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

    def __repr__(self) -> str:
        return f"<Peers {len(self.views)}>"

    def __bool__(self) -> bool:
        """Whether there are others."""
        return bool(self.views)

    def take(self, message: ClusterView) -> None:
        """The GCS tells what has changed."""
        for row in message.nodes:
            if row.node_id == self._node_id:
                continue
            if row.alive:
                self.views[row.manager] = NodeView(
                    row.node_id, to_units(row.total), to_units(row.available), row.manager, row.labels
                )
            else:
                self.views.pop(row.manager, None)

    def gone(self, manager: str) -> None:
        """Its node has died."""
        self.views.pop(manager, None)
