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

import msgspec

from raynb.runtime.core.placement import NodeView, describe, fits, subtract
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
    if strategy.node_id and not strategy.soft and node.node_id != strategy.node_id:
        return False
    if not strategy.hard:
        return True
    labels = labels_of(node.node_id, node.labels)
    return any(all(meets(rule, labels) for rule in choice) for choice in (strategy.hard, *strategy.fallbacks))


def wanted(strategy: Strategy, need: Mapping[str, int], nodes: Iterable[NodeView]) -> list[NodeView]:
    """Those of the nodes that come into question: rule 1."""
    there = [node for node in nodes if fits(need, node.total)]
    found: list[NodeView] = []
    for hard in (strategy.hard, *strategy.fallbacks):
        choice = msgspec.structs.replace(strategy, hard=hard, fallbacks=()) if strategy.fallbacks else strategy
        found = [node for node in there if may(choice, node)]
        if found:
            break
    if strategy.node_id and strategy.soft:
        found = [node for node in found if node.node_id == strategy.node_id] or found
    if strategy.preferred:
        rules = strategy.preferred
        best = [n for n in found if all(meets(rule, labels_of(n.node_id, n.labels)) for rule in rules)]
        found = best or found
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
    shares: dict[str, int] = {}
    for _ in range(count):
        later = [node for node in order if node.node_id > after]
        chosen = next((node for node in [*later, *order] if fits(need, node.available)), None)
        if chosen is None:
            break
        subtract(chosen.available, need)
        shares[chosen.manager] = shares.get(chosen.manager, 0) + 1
        after = chosen.node_id
    return shares, after


def says(strategy: Strategy) -> str:
    """The hard wishes, for people: ``on node 5f...``; empty if there are none."""
    words = []
    if strategy.node_id and not strategy.soft:
        words.append(f"on node {strategy.node_id.hex()}")
    if strategy.hard:
        choices = [" and ".join(map(str, choice)) for choice in (strategy.hard, *strategy.fallbacks)]
        words.append(f"where there is {', else '.join(choices)}")
    return " and ".join(words)


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
