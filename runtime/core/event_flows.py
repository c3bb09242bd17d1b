"""What flows between functions, and between cells: how many tasks of one used a result of another, or were its
children.

Rules
-----
* An edge is counted when the first row of a task comes, and never taken back: also what rows are dropped of stays
  counted.
* Edges are between *groups*: a function, or a cell with all its runs. Groups are few and are never forgotten; what is
  beyond `GROUPS_MAX` of them counts as one.
* A task whose producer (or parent) has no row yet waits here for it, `EARLY_MAX` producers long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from raynb.runtime.core.event_names import EventNames, Name, Totals
from raynb.runtime.messages.ids import OBJECT_ID_BYTES, PUT_INDEX_BASE, TASK_ID_BYTES

GROUPS_MAX: Final = 5_000
EDGES_MAX: Final = 50_000
EARLY_MAX: Final = 10_000

PAIR_BITS: Final = 32
"""Two positions of names in one number: dicts of numbers are quicker than those of tuples."""
_POSITION: Final = (1 << PAIR_BITS) - 1
NOBODY: Final = bytes(TASK_ID_BYTES)
"""The parent of what a driver submits."""

DATA, CHILD = 0, 1
EDGE_KINDS: Final = ("data", "child")

PUT: Final = 0
"""The number of the group that stands for whatever was put."""
OTHERS: Final = 1

_PUT_BYTE_AT: Final = OBJECT_ID_BYTES - 1
_PUT_BYTE: Final = PUT_INDEX_BASE >> 24


class Group(NamedTuple):
    """What a node of an aggregated graph stands for.

    Attributes
    ----------
    by
        function | cell | put | others
    key
        The function's name, or the id of the cell (its number where it has none).
    kind
        Of a function: index into `TASK_KINDS`.
    job
        Of a cell.
    """

    by: str
    key: str = ""
    kind: int = 0
    job: bytes = b""


def cell_parts(token: str) -> tuple[int, int, str]:
    """(number of the run, execution count, cell id) of a run of a cell, as ``n:execution_count:cell_id``."""
    number, _, rest = token.partition(":")
    count, _, cell_id = rest.partition(":")
    return (int(number) if number.isdecimal() else 0, int(count) if count.isdecimal() else 0, cell_id)


def cell_key(token: str) -> str:
    """What all runs of a cell have in common; empty outside of cells."""
    _, count, cell_id = cell_parts(token)
    return cell_id or (f"In[{count}]" if token else "")


class EventFlows:
    """Counts of edges. See the module's rules."""

    def __init__(self, names: EventNames) -> None:
        self._names = names
        self.groups: list[Group] = [Group("put"), Group("others")]
        self._numbers: dict[Group, int] = {group: number for number, group in enumerate(self.groups)}
        self.edges: dict[tuple[int, int, int], int] = {}
        """(source, target, kind) -> tasks; between two functions, or between two cells."""
        self.uncounted = 0
        """Edges beyond `EDGES_MAX`."""
        self._early: dict[bytes, Counter[tuple[int, int, int]]] = {}
        """Producer or parent -> (target's function, target's cell, kind)."""

    def __repr__(self) -> str:
        return f"<EventFlows {len(self.groups)} groups, {len(self.edges)} edges, {len(self._early)} early>"

    def groups_of(self, name: Name | Totals) -> tuple[int, int]:
        """The groups of a function and of its cell."""
        if name.groups is None:
            function = self._number(Group("function", name.function, name.kind))
            name.groups = function, self._number(Group("cell", cell_key(name.cell), 0, name.job))
        return name.groups

    def _number(self, group: Group) -> int:
        number = self._numbers.get(group)
        if number is None:
            if len(self.groups) >= GROUPS_MAX:
                return OTHERS
            number = self._numbers[group] = len(self.groups)
            self.groups.append(group)
        return number

    def _at(self, position: int) -> tuple[int, int]:
        return self.groups_of(self._names.name(position))

    def born(
        self,
        links: Mapping[int, int],
        orphans: Iterable[tuple[int, bytes]],
        index: Mapping[bytes, int],
        names: Sequence[int],
    ) -> None:
        """New tasks.

        Parameters
        ----------
        links
            Pairs of names (the parent's << `PAIR_BITS` | the task's) -> tasks.
        orphans
            (the task's name, parent), where the parent had no row yet.
        index, names
            The table's, these tasks included.
        """
        if self._early:
            self._settle(index, names)
        pairs = dict(links)
        for position, parent in orphans:
            self._link(pairs, position, parent, CHILD, index, names)
        self._count_pairs(pairs, CHILD)

    def fed(self, tasks: Iterable[tuple[int, bytes]], index: Mapping[bytes, int], names: Sequence[int]) -> None:
        """Tasks that use objects: (position of the name, object ids joined)."""
        pairs: dict[int, int] = {}
        puts: dict[int, int] = {}
        for position, oids in tasks:
            for at in range(0, len(oids), OBJECT_ID_BYTES):
                if oids[at + _PUT_BYTE_AT] >= _PUT_BYTE:
                    puts[position] = puts.get(position, 0) + 1
                else:
                    self._link(pairs, position, oids[at : at + TASK_ID_BYTES], DATA, index, names)
        for position, count in puts.items():
            for group in self._at(position):
                self._count(PUT, group, DATA, count)
        self._count_pairs(pairs, DATA)

    def _link(
        self,
        pairs: dict[int, int],
        position: int,
        source: bytes,
        kind: int,
        index: Mapping[bytes, int],
        names: Sequence[int],
    ) -> None:
        """Note an edge to a name from a task."""
        slot = index.get(source)
        if slot is not None:
            pair = names[slot] << PAIR_BITS | position
            pairs[pair] = pairs.get(pair, 0) + 1
        elif source != NOBODY:
            self._wait(source, position, kind)

    def _count_pairs(self, pairs: Mapping[int, int], kind: int) -> None:
        for pair, count in pairs.items():
            origin, position = pair >> PAIR_BITS, pair & _POSITION
            for source_group, group in zip(self._at(origin), self._at(position), strict=True):
                self._count(source_group, group, kind, count)

    def _wait(self, source: bytes, position: int, kind: int) -> None:
        waiting = self._early.get(source)
        if waiting is None:
            if len(self._early) >= EARLY_MAX:
                del self._early[next(iter(self._early))]
            waiting = self._early[source] = Counter()
        waiting[(*self._at(position), kind)] += 1

    def _count(self, source: int, target: int, kind: int, count: int) -> None:
        key = (source, target, kind)
        before = self.edges.get(key)
        if before is None and len(self.edges) >= EDGES_MAX:
            self.uncounted += count
            return
        self.edges[key] = (before or 0) + count

    def _settle(self, index: Mapping[bytes, int], names: Sequence[int]) -> None:
        """Count what has waited for tasks that have rows by now."""
        for task_id in [task_id for task_id in self._early if task_id in index]:
            source_function, source_cell = self._at(names[index[task_id]])
            for (function, cell, kind), count in self._early.pop(task_id).items():
                self._count(source_function, function, kind, count)
                self._count(source_cell, cell, kind, count)
