"""Which nodes the bundles of a placement group go to. Pure functions of what the caller knows.

Rules
-----
1. STRICT_PACK has all bundles on one node, STRICT_SPREAD each on another, PACK and SPREAD try to.
2. A bundle's labels leave only the nodes that have them. With ``together``, all nodes have the same value of a label.
3. What is placed already stays, and counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raynb.runtime.core.placement import NodeView, describe, fits, subtract, to_units, total_of, utilisation
from raynb.runtime.core.strategies import labels_of, meets
from raynb.runtime.messages.placement import CreateGroup


def choose(spec: CreateGroup, nodes: Sequence[NodeView], kept: Mapping[int, bytes]) -> list[bytes] | None:
    """A node for each bundle; None where they don't fit. Those that are ``kept`` are there already."""
    if not spec.together:
        return _choose(spec, nodes, kept)
    for _, alike in sorted(_alike(spec.together, nodes).items()):
        if set(kept.values()) <= {node.node_id for node in alike}:
            found = _choose(spec, alike, kept)
            if found is not None:
                return found
    return None


def _choose(spec: CreateGroup, nodes: Sequence[NodeView], kept: Mapping[int, bytes]) -> list[bytes] | None:
    bundles = [to_units(bundle) for bundle in spec.bundles]
    new = [index for index in range(len(bundles)) if index not in kept]
    if spec.strategy in ("STRICT_PACK", "PACK"):
        whole = total_of(bundles[index] for index in new)
        alone = set(kept.values())
        for node in sorted(nodes, key=lambda node: (node.node_id != spec.target, utilisation(node))):
            if fits(whole, node.available) and alone <= {node.node_id} and all(_takes(spec, i, node) for i in new):
                return [node.node_id] * len(bundles)
        if spec.strategy == "STRICT_PACK":
            return None
    free = {node.node_id: dict(node.available) for node in nodes}
    chosen = dict(kept)
    # What fewest nodes would take first, else the largest.
    takers = {index: [node for node in nodes if _takes(spec, index, node)] for index in new}
    for index in sorted(new, key=lambda index: (len(takers[index]), -sum(bundles[index].values()))):
        used = list(chosen.values())
        found = [node for node in takers[index] if fits(bundles[index], free[node.node_id])]
        if spec.strategy == "STRICT_SPREAD":
            found = [node for node in found if node.node_id not in used]
        if not found:
            return None
        if spec.strategy == "PACK":
            best = max(found, key=lambda node: used.count(node.node_id))
        else:
            best = min(found, key=lambda node: used.count(node.node_id))
        chosen[index] = best.node_id
        subtract(free[best.node_id], bundles[index])
    return [chosen[index] for index in range(len(bundles))]


def _takes(spec: CreateGroup, index: int, node: NodeView) -> bool:
    """Whether a node has the labels that a bundle asks for."""
    if not spec.labels:
        return True
    labels = labels_of(node.node_id, node.labels)
    return all(meets(rule, labels) for rule in spec.labels[index])


def _alike(label: str, nodes: Iterable[NodeView]) -> dict[str, list[NodeView]]:
    """The nodes that have a label, by its value."""
    found: dict[str, list[NodeView]] = {}
    for node in nodes:
        value = labels_of(node.node_id, node.labels).get(label)
        if value is not None:
            found.setdefault(value, []).append(node)
    return found


def common_value(label: str, nodes: Sequence[NodeView], placed: Iterable[bytes]) -> str:
    """The value of a label that all nodes of a group have; empty while it is not placed."""
    there = set(placed)
    for value, alike in _alike(label, nodes).items():
        if there & {node.node_id for node in alike}:
            return value
    return ""


def why_not(spec: CreateGroup, nodes: Sequence[NodeView]) -> str:
    """Why a group can't be placed on these nodes, even if all were idle."""
    bundles = [to_units(bundle) for bundle in spec.bundles]
    if spec.strategy == "STRICT_SPREAD" and len(bundles) > len(nodes):
        return f"STRICT_SPREAD wants {len(bundles)} nodes for its bundles, and the cluster has {len(nodes)}"
    for index, bundle in enumerate(bundles):
        takers = [node for node in nodes if _takes(spec, index, node)]
        if spec.labels and not takers:
            rules = " and ".join(map(str, spec.labels[index]))
            return f"no node is where its bundle {index} is to be: {rules}"
        if not any(fits(bundle, node.total) for node in takers):
            return (
                f"no node{' with the labels' if spec.labels else ''} has the {describe(bundle)} of its bundle {index}"
            )
    if spec.together:
        return f"no nodes with the same {spec.together} have the {describe(total_of(bundles))} of its bundles"
    where = "no single node has" if spec.strategy == "STRICT_PACK" else "the cluster does not have"
    return f"{where} the {describe(total_of(bundles))} of its bundles together"
