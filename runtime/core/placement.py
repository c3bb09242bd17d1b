"""Resources as numbers that add up exactly, and the choice of a node for a demand.

Rules
-----
1. Amounts are whole numbers of 1/10,000, Ray's granularity, so that ten times 0.1 CPU is exactly one CPU. A vector
   has no zero entries.
2. A demand is *feasible* where the totals cover it, and *fits* where what is available covers it. Something
   infeasible waits for the cluster to change; something that doesn't fit waits for somebody to finish.
3. What is available may be negative: a worker that goes on after it had given its CPU back takes it without asking.
   Nothing is granted from a negative amount.
4. Policies are pure functions of what the caller knows. They break ties by the order of the nodes.

It never knows who asks, nor what a resource is; only that ``CPU`` is lent out again while its holder waits (see
`leases`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

UNITS = 10_000
CPU = "CPU"
GPU = "GPU"
MEMORY = "memory"
STORE_MEMORY = "object_store_memory"

Vector = dict[str, int]
"""Resource name -> units of 1/10,000."""


def to_units(amounts: Mapping[str, float]) -> Vector:
    """Amounts as given by people -> units.

    Raises
    ------
    ValueError
        An amount is negative, not finite, or above zero but smaller than the granularity.
    """
    units: Vector = {}
    for name, amount in amounts.items():
        if not math.isfinite(amount) or amount < 0:
            raise ValueError(f"an amount of a resource is a number from 0 on: {name}={amount}")
        value = round(amount * UNITS)
        if value == 0 and amount > 0:
            raise ValueError(f"the smallest amount of a resource is {1 / UNITS}: {name}={amount}")
        if value:
            units[name] = value
    return units


def to_amounts(units: Mapping[str, int]) -> dict[str, float]:
    """Units -> amounts for people and messages."""
    return {name: value / UNITS for name, value in units.items()}


def fits(need: Mapping[str, int], available: Mapping[str, int]) -> bool:
    """Whether each amount of ``need`` is there."""
    return all(available.get(name, 0) >= value for name, value in need.items())


def lacking(need: Mapping[str, int], available: Mapping[str, int]) -> Vector:
    """What is missing of ``need``; empty if it fits."""
    return {
        name: value - max(0, available.get(name, 0)) for name, value in need.items() if available.get(name, 0) < value
    }


def add(to: Vector, what: Mapping[str, int]) -> None:
    """Add in place."""
    for name, value in what.items():
        to[name] = to.get(name, 0) + value


def total_of(vectors: Iterable[Mapping[str, int]]) -> Vector:
    """Their sum."""
    whole: Vector = {}
    for vector in vectors:
        add(whole, vector)
    return whole


def subtract(from_: Vector, what: Mapping[str, int]) -> None:
    """Subtract in place; the result may be negative."""
    for name, value in what.items():
        from_[name] = from_.get(name, 0) - value


def describe(units: Mapping[str, int]) -> str:
    """For people: ``2 CPU and 1 GPU``; the memory resources in GB."""
    parts = []
    for name, value in units.items():
        if name in {MEMORY, STORE_MEMORY}:
            parts.append(f"{value / UNITS / 1e9:.3g} GB of {name}")
        else:
            parts.append(f"{value / UNITS:g} {name}")
    if len(parts) < 2:
        return "".join(parts) or "nothing"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


class NodeView(Struct, frozen=True, gc=False):
    """What one knows of a node when one chooses."""

    node_id: bytes
    total: Vector
    available: Vector
    manager: str = ""
    labels: dict[str, str] = {}


def utilisation(node: NodeView) -> float:
    """Share of the busiest resource that is taken, 0 to 1 and more."""
    shares = [(total - node.available.get(name, 0)) / total for name, total in node.total.items() if total > 0]
    return max(shares, default=0.0)


def hybrid(need: Mapping[str, int], own: NodeView, others: Sequence[NodeView], threshold: float) -> NodeView | None:
    """Ray's default: the own node while less than ``threshold`` of its CPUs and memory is taken, then the emptiest of
    those for which that holds, then the emptiest of all; of nodes with GPUs, where none are asked for, only if no other
    has room. None where it fits nowhere."""
    room = [node for node in (own, *others) if fits(need, node.available)]
    if not need.get(GPU):
        room = [node for node in room if not node.total.get(GPU)] or room
    below = [node for node in room if _taken(node) < threshold]
    return own if any(node is own for node in below) else min(below or room, key=_taken, default=None)


def _taken(node: NodeView) -> float:
    shares = [1 - node.available.get(name, 0) / node.total[name] for name in (CPU, MEMORY) if node.total.get(name)]
    return max(shares, default=0.0)


def feasible_nodes(need: Mapping[str, int], nodes: Iterable[NodeView]) -> list[NodeView]:
    """Those whose totals cover the need."""
    return [node for node in nodes if fits(need, node.total)]


def spread(need: Mapping[str, int], nodes: Sequence[NodeView]) -> NodeView | None:
    """The emptiest node, of those without GPUs first if none are asked for; None where it fits nowhere."""
    candidates = [node for node in nodes if fits(need, node.available)]
    asks = bool(need.get(GPU))
    return min(candidates, key=lambda node: (not asks and bool(node.total.get(GPU)), utilisation(node)), default=None)


def hand_out(need: Mapping[str, int], count: int, choose: Callable[[], NodeView | None]) -> dict[str, int]:
    """Give units, ``count`` at most, each to the node that is chosen next, and take it from what is available there,
    while one is chosen; by manager, how many."""
    shares: dict[str, int] = {}
    for _ in range(count):
        chosen = choose()
        if chosen is None:
            break
        subtract(chosen.available, need)
        shares[chosen.manager] = shares.get(chosen.manager, 0) + 1
    return shares


def why_infeasible(what: str, need: Mapping[str, int], nodes: Sequence[NodeView]) -> str:
    """A sentence that names the resource, what the cluster has, and what to do. Empty if it is feasible.

    Parameters
    ----------
    what
        Name of a function or an actor class.
    """
    if feasible_nodes(need, nodes):
        return ""
    best = min(nodes, key=lambda node: len(lacking(need, node.total)), default=None)
    missing = lacking(need, best.total if best else {})
    if not missing:
        return ""
    name = next(iter(missing))
    if "_group_" in name:
        return (
            f"{what} runs in placement group {name.rpartition('_')[2]}, which is not placed yet, or has no bundle "
            "with so much. placement_group_table() tells how it is with the group."
        )
    most = max((node.total.get(name, 0) for node in nodes), default=0)
    asked = describe({name: need[name]})
    if name in (CPU, GPU):
        option = f"num_{name.lower()}s"
        less, more = f".options({option}=...)", f"init({option}={need[name] / UNITS:g})"
    elif name == MEMORY:
        less, more = ".options(memory=...)", "a machine with more memory"
    else:
        less = f".options(resources={{{name!r}: ...}})"
        more = f"init(resources={{{name!r}: {need[name] / UNITS:g}}})"
    if most == 0:
        has = f"no node of this cluster has any {name}"
    else:
        nodes_word = "the cluster's only node has" if len(nodes) == 1 else "the largest node has"
        has = f"{nodes_word} {describe({name: most})} in all"
    return (
        f"{what} asks for {asked}, but {has}: it waits until that changes. Ask for less with {less}, start the cluster "
        f"with {more}, or give it up with ray.cancel()."
    )
