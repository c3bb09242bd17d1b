"""Which of a node's GPUs a lease has, for programs that are to use those alone.

Rules
-----
1. What asks for whole GPUs gets whole ones. What asks for a part of one gets a part of one that is already in parts, as
   far as one has enough left: of those the one that has the least.
2. A bundle of a placement group has GPUs of its own from when it is reserved, and what runs in it gets those.
3. A half of one and a half of another are no whole one: what needs that waits, though the sum would be enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raynb.runtime.core.bundle_names import group_name, group_of
from raynb.runtime.core.placement import GPU, UNITS, Vector, add, subtract


def asks_for_gpus(need: Mapping[str, int]) -> bool:
    """Whether this is to have any, of the node's own or of a group's."""
    return bool(_pool(need)[1])


class Taken:
    """What a lease has of which GPUs."""

    __slots__ = ("_pool", "units")

    def __init__(self, pool: Vector, units: Vector) -> None:
        # A group that is gone has no pool any more, also if there is one of its name again: the node has it all back.
        self._pool = pool
        self.units = units

    @property
    def names(self) -> list[str]:
        return list(self.units)

    def is_of(self, pool: Vector) -> bool:
        """Whether it goes back there."""
        return self._pool is pool

    def give_back(self) -> None:
        add(self._pool, self.units)


class Gpus:
    """See the module's rules.

    Parameters
    ----------
    units
        How many there are, in 1/10,000 GPU.
    names
        What they are called in ``CUDA_VISIBLE_DEVICES``: their numbers, as long as nothing else is said.
    """

    def __init__(self, units: int, names: Sequence[str] = ()) -> None:
        self._names = names
        self._total: Vector = {}
        self._free: dict[str, Vector] = {GPU: {}}
        """By name of the resource, the node's own or all of a group's: what is free of each GPU."""
        self._bundles: dict[str, Vector] = {}
        """By name of the resource of one bundle: what it has of which GPU."""
        self.set_total(units)

    def __repr__(self) -> str:
        return f"<Gpus {self._free}>"

    def set_total(self, units: int) -> None:
        """The node has more or fewer of them than before. What is taken stays taken."""
        count = -(-units // UNITS)
        names = self._names or [str(number) for number in range(count)]
        total = {name: min(UNITS, units - number * UNITS) for number, name in enumerate(names[:count])}
        subtract(self._free[GPU], self._total)
        add(self._free[GPU], total)
        self._total = total

    @property
    def left(self) -> int:
        """How much of the node's own is free, in all."""
        return sum(self._free[GPU].values())

    def choose(self, need: Mapping[str, int], coming: Iterable[Taken] = ()) -> Vector | None:
        """What a need would get, by name of the GPU; empty: it needs none; None: what is free is in pieces.

        Parameters
        ----------
        coming
            What counts as given back already.
        """
        pool, units = _pool(need)
        if not units:
            return {}
        free = self._free.get(pool, {})
        if back := [taken.units for taken in coming if taken.is_of(free)]:
            free = dict(free)
            for each in back:
                add(free, each)
        for name in need:
            if name in self._bundles:
                free = {gpu: free[gpu] for gpu in self._bundles[name]}
        return _choose(units, free)

    def take(self, need: Mapping[str, int]) -> Taken | None:
        """Take what it gets, which must be there; None: it needs none."""
        chosen = self.choose(need)
        assert chosen is not None, need
        if not chosen:
            return None
        pool = self._free[_pool(need)[0]]
        subtract(pool, chosen)
        return Taken(pool, chosen)

    def reserve(self, group: bytes, bundles: Mapping[int, Vector]) -> bool:
        """Rule 2, all or none of them."""
        wanted = {group_name(GPU, group, index): units[GPU] for index, units in bundles.items() if GPU in units}
        chosen: dict[str, Vector] = {}
        free = dict(self._free[GPU])
        for name, units in sorted(wanted.items(), key=lambda item: -item[1]):
            found = _choose(units, free)
            if found is None:
                return False
            subtract(free, found)
            chosen[name] = found
        self._free[GPU].update(free)
        for name, found in chosen.items():
            self._bundles[name] = found
            add(self._free.setdefault(group_name(GPU, group), {}), found)
        return True

    def unreserve(self, group: bytes, index: int) -> None:
        """A bundle is given back."""
        found = self._bundles.pop(group_name(GPU, group, index), None)
        if found is None:
            return
        add(self._free[GPU], found)
        whole = group_name(GPU, group)
        subtract(self._free[whole], found)
        if not any(name.endswith(f"_{group.hex()}") for name in self._bundles):
            del self._free[whole]


def _pool(need: Mapping[str, int]) -> tuple[str, int]:
    """Where a need takes its GPUs from, and how much."""
    group = group_of(need)
    name = GPU if group is None else group_name(GPU, group)
    return name, need.get(name, 0)


def _choose(units: int, free: Mapping[str, int]) -> Vector | None:
    """Rule 1."""
    whole, part = divmod(units, UNITS)
    found = dict.fromkeys([name for name, left in free.items() if left >= UNITS][:whole], UNITS)
    if len(found) < whole:
        return None
    if part:
        enough = [name for name, left in free.items() if left >= part and name not in found]
        if not enough:
            return None
        found[min(enough, key=lambda name: free[name])] = part
    return found
