"""Bundles of placement groups at a node: reserved, committed, given back.

Rules
-----
1. A reservation takes the bundles' resources out of what is available, all or none.
2. Committed, they come back as resources of their own: ``CPU_group_0_ab12`` is the CPU of bundle 0 of group ab12, and
   ``CPU_group_ab12`` that of all its bundles here. A task in a bundle asks for both, so that what asks for any bundle
   and what asks for one share what there is. So leases need to know nothing of groups.
3. Each bundle has a ``bundle_group`` resource too: what needs no other resource still runs where its group is.
4. Given back, what runs in it is ended; what it held returns as its processes end.
5. A newer attempt replaces what an older one has reserved; what is committed stays. A GCS that is started again says
   which groups it knows; the others are dropped, and what its predecessor had sent is void.

The names are Ray's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raynb.runtime.core.bundle_names import bundle_units, group_of
from raynb.runtime.core.grants import Grant
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.placement import GPU, Vector, add, describe, lacking, subtract, to_units, total_of
from raynb.runtime.messages.placement import Bundle

REMOVED_MAX = 10_000


class Reservation:
    """What one bundle has here: ``base`` of the node's own resources, and ``own`` ones once it is committed."""

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
        self._groups: dict[bytes, dict[int, Reservation]] = {}
        self._removed: dict[bytes, None] = {}
        self._first_attempt = 0
        """Of the GCS that runs now: what an earlier one has said, and comes late, is void."""

    def __repr__(self) -> str:
        return f"<Bundles of {len(self._groups)} groups>"

    def reserve(self, group: bytes, attempt: int, bundles: Iterable[Bundle]) -> str:
        """Rule 1. Gives what is missing; empty: it is reserved. What is committed already stays as it is."""
        if self.is_outdated(attempt):
            return "outdated"
        known = self._groups.setdefault(group, {})
        self._release(group, [i for i, one in known.items() if not one.committed and one.attempt < attempt])
        known = self._groups.setdefault(group, {})
        wanted = self._wanted(group, bundles)
        base = total_of(wanted.values())
        missing = lacking(base, self._leases.available)
        if not missing and not self._leases.gpus.reserve(group, wanted):
            missing = {GPU: base[GPU]}  # what is free is in pieces
        if not missing:
            for index, units in wanted.items():
                known[index] = Reservation(attempt, units, bundle_units(units, group, index))
            self._leases.reserve(base)
        if not known:
            del self._groups[group]
        return describe(missing) if missing else ""

    def is_outdated(self, attempt: int) -> bool:
        """Whether an earlier GCS has said it."""
        return attempt < self._first_attempt

    def need(self, group: bytes, bundles: Iterable[Bundle]) -> Vector:
        """What those take together that are not here yet."""
        return total_of(self._wanted(group, bundles).values())

    def _wanted(self, group: bytes, bundles: Iterable[Bundle]) -> dict[int, Vector]:
        known = self._groups.get(group, {})
        return {index: to_units(amounts) for index, amounts in bundles if index not in known}

    def commit(self, group: bytes, attempt: int, now: float) -> bool:
        """Rule 2. False if none of it is here (any more)."""
        known = self._groups.get(group)
        if known is None or self.is_outdated(attempt):
            return False
        total = dict(self._leases.total)
        for one in known.values():
            if not one.committed and one.attempt == attempt:
                one.committed = True
                add(total, one.own)
        self._leases.set_total(total, now)
        return True

    def give_back(self, group: bytes, attempt: int, now: float, *, removed: bool) -> list[Grant]:
        """Rule 4: all of it, or what one attempt has reserved. Gives the leases in it: their workers are to end."""
        if self.is_outdated(attempt):
            return []
        known = self._groups.get(group, {})
        if not removed:
            self._release(group, [i for i, one in known.items() if not one.committed and one.attempt == attempt])
            return []
        self._removed[group] = None
        if len(self._removed) > REMOVED_MAX:
            del self._removed[next(iter(self._removed))]
        return self._drop(group, list(known), now)

    def keep(self, bundles: Iterable[tuple[bytes, int]], first_attempt: int, now: float) -> list[Grant]:
        """Of what an earlier GCS had placed here, the present one knows these bundles alone: the others are dropped."""
        self._first_attempt = max(self._first_attempt, first_attempt)
        kept = set(bundles)
        grants: list[Grant] = []
        for group, known in list(self._groups.items()):
            lost = [i for i, one in known.items() if one.attempt < first_attempt and (group, i) not in kept]
            if lost:
                grants += self._drop(group, lost, now)
        return grants

    def is_removed(self, need: Mapping[str, int]) -> bool:
        """Whether this asks for a group that is gone."""
        group = group_of(need)
        return group is not None and group in self._removed

    def _drop(self, group: bytes, indexes: list[int], now: float) -> list[Grant]:
        known = self._groups.get(group)
        if known is None:
            return []
        total = dict(self._leases.total)
        for index in indexes:
            if known[index].committed:
                subtract(total, known[index].own)
        self._release(group, indexes)
        self._leases.set_total({name: units for name, units in total.items() if units}, now)
        return [grant for grant in self._leases.by_number.values() if group_of(grant.held) == group]

    def _release(self, group: bytes, indexes: Iterable[int]) -> None:
        known = self._groups.get(group, {})
        for index in indexes:
            self._leases.unreserve(known.pop(index).base)
            self._leases.gpus.unreserve(group, index)
        if not known:
            self._groups.pop(group, None)
