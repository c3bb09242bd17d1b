"""What graphs of tasks have in common: how a graph changes, and its longest path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raynb.runtime.messages.screen import GraphEdge, GraphNode, GraphState

EdgeKey = tuple[str, str, str]


class GraphKeeper:
    """A graph as it was shown last."""

    def __init__(self) -> None:
        self._nodes: dict[str, GraphNode] = {}
        self._edges: dict[EdgeKey, GraphEdge] = {}
        self._state = GraphState([], [], 0)

    def whole(self) -> GraphState:
        return self._state

    def show(self, state: GraphState) -> GraphState | None:
        """Take a graph; what is new or gone in it, None if nothing is."""
        nodes = {node.id: node for node in state.nodes}
        edges = {(edge.source, edge.target, edge.kind): edge for edge in state.edges}
        before, self._state = self._state, state
        old_nodes, self._nodes = self._nodes, nodes
        old_edges, self._edges = self._edges, edges
        delta = GraphState(
            nodes=[node for key, node in nodes.items() if old_nodes.get(key) != node],
            edges=[edge for edge_key, edge in edges.items() if old_edges.get(edge_key) != edge],
            tasks=state.tasks,
            dropped=state.dropped,
            hidden=state.hidden,
            critical=state.critical,
            gone_nodes=[key for key in old_nodes if key not in nodes],
            gone_edges=[edge_key for edge_key in old_edges if edge_key not in edges],
        )
        same = (
            before.tasks == state.tasks
            and before.dropped == state.dropped
            and before.hidden == state.hidden
            and before.critical == state.critical
        )
        changed = delta.nodes or delta.edges or delta.gone_nodes or delta.gone_edges
        return delta if changed or not same else None


def longest_path(durations: Mapping[str, float], edges: Iterable[GraphEdge]) -> list[str]:
    """The nodes on the path along data whose durations add up to most; what lies on a cycle is on no path."""
    after: dict[str, list[str]] = {}
    missing = dict.fromkeys(durations, 0)
    for edge in edges:
        if edge.kind == "data" and edge.source != edge.target and edge.source in missing and edge.target in missing:
            after.setdefault(edge.source, []).append(edge.target)
            missing[edge.target] += 1
    ready = [node for node, count in missing.items() if not count]
    length = dict(durations)
    best: dict[str, str] = {}
    for node in ready:
        for target in after.get(node, ()):
            if target not in best or length[best[target]] < length[node]:
                best[target] = node
            missing[target] -= 1
            if not missing[target]:
                length[target] += length[best[target]]
                ready.append(target)
    if not ready:
        return []
    path = [max(ready, key=length.__getitem__)]
    while path[-1] in best:
        path.append(best[path[-1]])
    path.reverse()
    return path if length[path[-1]] > 0 else []
