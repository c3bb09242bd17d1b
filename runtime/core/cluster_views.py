"""What the GCS tells node managers about the other nodes.

Rules
-----
1. Nothing is told as long as there is one node, and there never were more.
2. A manager is told all nodes first, and then those that have changed: levels, so what is left out between does not
   matter. At most each `PAUSE_S`.
3. It is what the nodes said last, so it may be late. Whoever acts upon it must bear that it isn't so any more.
"""

from __future__ import annotations

from typing import Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.core.membership import Membership, Node
from raynb.runtime.messages.nodes import ClusterView, NodeRow

PAUSE_S: Final = 0.1


class ClusterViews:
    """See the module's rules."""

    def __init__(self, members: Membership) -> None:
        self._members = members
        self._rows: dict[bytes, NodeRow] = {}
        """As they were told last."""
        self._told: dict[str, None] = {}
        """Managers that know these rows."""
        self._due = 0.0
        self.changed = False
        """Something may be to be told."""

    def __repr__(self) -> str:
        return f"<ClusterViews of {len(self._rows)} nodes to {len(self._told)}>"

    def tick(self, now: float) -> Effects:
        """Tell what has changed."""
        if not self.changed or now < self._due:
            return []
        self.changed = False
        living = [node for node in self._members.nodes.values() if node.alive]
        if len(living) < 2 and not self._rows:
            return []
        self._due = now + PAUSE_S
        rows = {node.id: _row(node) for node in living}
        news = [row for row in rows.values() if row != self._rows.get(row.node_id)]
        for node_id, row in self._rows.items():
            if node_id not in rows:
                news.append(NodeRow(node_id, row.manager, {}, {}, alive=False))
        self._rows = rows
        effects: Effects = []
        for node in living:
            if node.manager not in self._told:
                effects.append(Send(node.manager, ClusterView(list(rows.values()))))
            elif news:
                effects.append(Send(node.manager, ClusterView(news)))
        self._told = {node.manager: None for node in living}
        return effects


def _row(node: Node) -> NodeRow:
    registration, status = node.registration, node.status
    total, available = registration.resources, node.available
    if status is not None and status.groups:
        total = total | {name: amounts[0] for name, amounts in status.groups.items()}
        available = available | {name: amounts[1] for name, amounts in status.groups.items()}
    return NodeRow(
        node.id, node.manager, total, available, registration.labels, True, registration.pid, registration.is_head
    )
