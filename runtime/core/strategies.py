"""Which nodes come into question for a strategy, and in which order. Pure functions of what the caller knows.

Rules
-----
1. *Hard* wishes (a node that is not soft, hard labels) leave no others. Soft ones put the nodes that meet them first,
   and leave the others for when none of those could ever run it. *Fallbacks* of hard labels are tried in their order:
   the first counts that a node meets which could ever run it.
2. Beyond that the default is to pack: the caller's own node while it has room, then the emptiest.
3. To *spread* is to take one node after the other, among those that have room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raynb.runtime.core.placement import NodeView, describe, fits, hand_out
from raynb.runtime.messages.strategy import LabelRule, Strategy

NODE_ID_LABEL = "ray.io/node-id"


def labels_of(node_id: bytes, labels: Mapping[str, str]) -> dict[str, str]:
    """All labels of a node: its id is one."""
    return {NODE_ID_LABEL: node_id.hex(), **labels}


def meets(rule: LabelRule, labels: Mapping[str, str]) -> bool:
    """Whether these labels are as asked."""
    value = labels.get(rule.key)
    found = value is not None and (not rule.values or value in rule.values)
    return found != rule.negated


def may(strategy: Strategy, node: NodeView) -> bool:
    """Whether the hard wishes allow this node."""
    return _is_named(strategy, node) and any(_has(node, choice) for choice in _choices(strategy))


def _is_named(strategy: Strategy, node: NodeView) -> bool:
    return not strategy.node_id or strategy.soft or node.node_id == strategy.node_id


def _choices(strategy: Strategy) -> tuple[tuple[LabelRule, ...], ...]:
    """The labels that are asked for, and what does instead, in their order."""
    return (strategy.hard, *strategy.fallbacks)


def _has(node: NodeView, rules: tuple[LabelRule, ...]) -> bool:
    if not rules:
        return True
    labels = labels_of(node.node_id, node.labels)
    return all(meets(rule, labels) for rule in rules)


def wanted(strategy: Strategy, need: Mapping[str, int], nodes: Iterable[NodeView]) -> list[NodeView]:
    """Those of the nodes that come into question: rule 1."""
    there = [node for node in nodes if _is_named(strategy, node) and fits(need, node.total)]
    found: list[NodeView] = []
    for choice in _choices(strategy):
        found = [node for node in there if _has(node, choice)]
        if found:
            break
    if strategy.node_id and strategy.soft:
        found = [node for node in found if node.node_id == strategy.node_id] or found
    if strategy.preferred:
        found = [node for node in found if _has(node, strategy.preferred)] or found
    return found


def share_out(
    need: Mapping[str, int], count: int, nodes: Sequence[NodeView], after: bytes = b""
) -> tuple[dict[str, int], bytes]:
    """Rule 3: give ``count`` units to nodes with room, in turn; takes them from what is available there.

    Parameters
    ----------
    after
        The node that had the last turn.

    Returns
    -------
    shares, after
        How many at which manager, and who had the last turn now.
    """
    order = sorted(nodes, key=lambda node: node.node_id)

    def next_one() -> NodeView | None:
        nonlocal after
        later = [node for node in order if node.node_id > after]
        chosen = next((node for node in [*later, *order] if fits(need, node.available)), None)
        after = after if chosen is None else chosen.node_id
        return chosen

    return hand_out(need, count, next_one), after


def says(strategy: Strategy) -> str:
    """The hard wishes, for people: ``on node 5f...``; empty if there are none."""
    words = []
    if strategy.node_id and not strategy.soft:
        words.append(f"on node {strategy.node_id.hex()}")
    if strategy.hard:
        choices = [" and ".join(map(str, choice)) for choice in _choices(strategy)]
        words.append(f"where there is {', else '.join(choices)}")
    return " and ".join(words)


def why_never(what: str, strategy: Strategy, need: Mapping[str, int], nodes: Iterable[NodeView]) -> str:
    """Why the one node that is meant will never run it; empty if it may, or if none is meant."""
    if strategy.soft or not strategy.node_id:
        return ""
    node = next((node for node in nodes if node.node_id == strategy.node_id), None)
    if node is None:
        return f"{what} is to run on node {strategy.node_id.hex()}, which is not there (any more)"
    if not fits(need, node.total):
        return f"{what} is to run on node {strategy.node_id.hex()}, which does not have {describe(need)}"
    return ""


def why_not_now(what: str, strategy: Strategy) -> str:
    """The same of a node that has no room, for what does not wait for it."""
    return f"{what} is to run on node {strategy.node_id.hex()}, which has no room for it now"


def why_nowhere(what: str, strategy: Strategy, need: Mapping[str, int], nodes: Sequence[NodeView]) -> str:
    """Why no node comes into question, though there are some with what it needs; empty if one does."""
    if wanted(strategy, need, nodes):
        return ""
    allowed = [node for node in nodes if may(strategy, node)]
    if not allowed:
        return (
            f"{what} is to run {says(strategy)}, and no node of this cluster is like that: it waits until there is "
            "one. raynb.nodes() lists the nodes with their labels; give it up with ray.cancel()."
        )
    return (
        f"{what} is to run {says(strategy)}, and no such node has {describe(need)}: it waits until there is one that "
        "has. Ask for less, or for another node."
    )
