"""Bundles of placement groups at a node: reserved, committed, given back.

Rules
-----
1. A reservation takes the bundles' resources out of what is available, all or none.
2. Committed, they come back as resources of their own: ``CPU_group_0_ab12`` is the CPU of bundle 0 of group ab12, and
   ``CPU_group_ab12`` that of all its bundles here. A task in a bundle asks for both, so that what asks for any bundle
   and what asks for one share what there is. So leases need to know nothing of groups.
3. Each bundle has a ``bundle_group`` resource too: what needs no other resource still runs where its group is.
4. Given back, what runs in it is ended; what it held returns as its processes end.
5. A newer attempt replaces what an older one has reserved; an older message is void.

The names are Ray's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from raynb.runtime.core.leases import Grant, Leases
from raynb.runtime.core.placement import UNITS, Vector, add, describe, lacking, to_units
from raynb.runtime.messages.placement import Bundle

BUNDLE = "bundle"
PER_BUNDLE = 1000
"""So much of the ``bundle`` resource each has; a task takes a thousandth of one."""
REMOVED_MAX = 10_000


class Reservation:
    """What one group has here."""

    __slots__ = ("attempt", "base", "committed", "own")

    def __init__(self, attempt: int, base: Vector, own: Vector) -> None:
        self.attempt = attempt
        self.base = base
        self.own = own
        self.committed = False


class Bundles:
    """See the module's rules."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._groups: dict[bytes, Reservation] = {}
        self._removed: deque[bytes] = deque(maxlen=REMOVED_MAX)

    def __repr__(self) -> str:
        return f"<Bundles of {len(self._groups)} groups>"

    def reserve(self, group: bytes, attempt: int, bundles: Iterable[Bundle]) -> str:
        """Rule 1. Gives what is missing; empty: it is reserved."""
        known = self._groups.get(group)
        if known is not None and (known.attempt >= attempt or known.committed):
            known.attempt = max(known.attempt, attempt)
            return ""
        if known is not None:
            self._release(group, known)
        base: Vector = {}
        own: Vector = {}
        for index, amounts in bundles:
            units = to_units(amounts)
            add(base, units)
            add(own, group_units({**units, BUNDLE: PER_BUNDLE * UNITS}, group, index))
        missing = lacking(base, self._leases.available)
        if missing:
            return describe(missing)
        self._leases.reserve(base)
        self._groups[group] = Reservation(attempt, base, own)
        return ""

    def commit(self, group: bytes, attempt: int, now: float) -> bool:
        """Rule 2. False if it is not here (any more)."""
        known = self._groups.get(group)
        if known is None or known.attempt != attempt:
            return False
        if not known.committed:
            known.committed = True
            self._leases.set_total(_sum(self._leases.total, known.own), now)
        return True

    def give_back(self, group: bytes, attempt: int, now: float, *, removed: bool) -> list[Grant]:
        """Rule 4. Gives the leases in it, whose workers are to be ended."""
        if removed and group not in self._removed:
            self._removed.append(group)
        known = self._groups.get(group)
        if known is None or not (removed or known.attempt == attempt):
            return []
        self._release(group, known)
        if known.committed:
            total = {name: units for name, units in self._leases.total.items() if name not in known.own}
            self._leases.set_total(total, now)
        return [grant for grant in self._leases.by_number.values() if group_of(grant.held) == group]

    def is_removed(self, need: Mapping[str, int]) -> bool:
        """Whether this asks for a group that is gone."""
        group = group_of(need)
        return group is not None and group in self._removed

    def _release(self, group: bytes, known: Reservation) -> None:
        del self._groups[group]
        self._leases.unreserve(known.base)


def group_name(resource: str, group: bytes, index: int = -1) -> str:
    """What a resource of a bundle (-1: of any) is called."""
    return f"{resource}_group_{group.hex()}" if index < 0 else f"{resource}_group_{index}_{group.hex()}"


def group_units(units: Mapping[str, int], group: bytes, index: int) -> Vector:
    """Rule 2, for a need or what there is."""
    own = {group_name(name, group): value for name, value in units.items()}
    if index >= 0:
        own.update({group_name(name, group, index): value for name, value in units.items()})
    return own


def group_of(need: Iterable[str]) -> bytes | None:
    """The group that a vector is of; None: of none."""
    for name in need:
        if name.startswith(f"{BUNDLE}_group_"):
            return bytes.fromhex(name.rsplit("_", 1)[1])
    return None


def without_groups(units: Mapping[str, int]) -> Vector:
    """What people are shown."""
    return {name: value for name, value in units.items() if "_group_" not in name}


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> Vector:
    total = dict(one)
    add(total, other)
    return total
