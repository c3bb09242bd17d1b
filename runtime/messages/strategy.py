"""Where a task or an actor is to run, as it travels: on which node, on which kind of node, or on many."""

from __future__ import annotations

from msgspec import Struct


class LabelRule(Struct, array_like=True, frozen=True, gc=False):
    """What is asked of a node's label.

    Attributes
    ----------
    values
        It has one of these; none given: it is there, whatever it is.
    negated
        The opposite: it has none of these, or is not there.
    """

    key: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        if not self.values:
            return f"{'no ' if self.negated else ''}label {self.key}"
        values = " or ".join(self.values)
        return f"{self.key}{'!=' if self.negated else '='}{values}"


class Strategy(Struct, array_like=True, frozen=True, gc=False):
    """A scheduling strategy. As it is: on the own node if there is room, else where there is.

    Attributes
    ----------
    spread
        On one node after the other.
    node_id
        Not empty: on that node. ``soft``: elsewhere, if it is not there or could never run it; ``spills``: also if it
        has no room now. ``fails``: it is an error if it has no room now.
    hard
        Only on nodes with all of these labels.
    preferred
        Of the nodes that come into question, on those that have all of these, if there are such.
    fallbacks
        What does instead of ``hard``, where there is no node like that: the first of these that there is.
    """

    spread: bool = False
    node_id: bytes = b""
    soft: bool = False
    spills: bool = False
    fails: bool = False
    hard: tuple[LabelRule, ...] = ()
    preferred: tuple[LabelRule, ...] = ()
    fallbacks: tuple[tuple[LabelRule, ...], ...] = ()


DEFAULT = Strategy()
