"""What it takes to make lost values again: the tasks that made them, and what those were given.

Rules
-----
1. Nothing is kept while this process deals with its own node's memory only: what lies there is lost with the process
   itself. It is from when other nodes are in play (``far``), or the first value has gone to disk.
2. A task is kept when one of its results lies in a node's memory and it may be tried again (``retries_left``), for as
   long as there is an entry of one of its objects, or a kept task that was given one of them.
3. What a kept task was given is kept as well: where that was made by a kept task, this one suffices, and its value may
   go; anything else (a put, a small value, the result of a task without retries) is pinned. Large values of other
   owners, and their actors, are not: their owners would not know for how long. Nor are large values while no other node
   is in play: a disk seldom loses anything, and what goes there does so for want of room. The creation of an actor is
   kept like a task that makes it, where it may be restarted; the actor itself may go.
4. The calls of all kept tasks together, and the small values they were given, have at most ``bytes_max`` bytes: beyond
   that the oldest are forgotten, and it is remembered that they were.
5. Chains are let go link by link, not by recursion: they may be ten thousands long.

What this never knows: what is lost, and who wants it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from raynb.runtime.messages.ids import task_of
from raynb.runtime.messages.objects import is_spilled
from raynb.runtime.messages.values import Inline, Stored, Value, size_of

if TYPE_CHECKING:
    from raynb.runtime.core.ownership import Ownership
    from raynb.runtime.core.task import Task

TASK_BYTES: Final = 600
"""What a kept task takes beside its arguments."""


class Kept(Struct, gc=False):
    """One task.

    Attributes
    ----------
    task
        Its last attempt, that has ended or runs again. None: it was forgotten (rule 4), or may not be tried again.
    uses
        Entries of its objects, and kept tasks that were given one of them.
    pinned, makers
        Objects that it pins; tasks that make what else it was given.
    evicted
        It was forgotten for want of room.
    """

    task: Task | None
    uses: int = 0
    nbytes: int = 0
    pinned: list[bytes] = []
    makers: list[bytes] = []
    evicted: bool = False


class Lineage:
    """The kept tasks of one process. See the module's rules."""

    def __init__(self, objects: Ownership, bytes_max: int) -> None:
        self._objects = objects
        self._bytes_max = bytes_max
        self.active = False
        """Rule 1: whether anything is kept."""
        self.far = False
        """Whether other nodes are in play."""
        self.kept: dict[bytes, Kept] = {}
        self._whole: dict[bytes, None] = {}
        """Those that could be run again, the oldest first."""
        self.nbytes = 0
        self._going: list[bytes] = []
        """Tasks that have one use less, to be looked at (rule 5)."""
        self._letting_go = False

    def are_far(self) -> None:
        """Other nodes are in play from now on."""
        self.active = self.far = True

    def saw(self, values: Iterable[Value]) -> None:
        """These are values of this process's objects."""
        if not self.far:
            for value in values:
                if type(value) is Stored:
                    self.far |= value.node != self._objects.node
                    self.active |= self.far or is_spilled(value.segment)

    def keep(self, task: Task, oids: Iterable[bytes]) -> None:
        """A task has ended; what it was given is still pinned by it. ``oids`` are all objects that it has made."""
        known = self.kept.get(task.id)
        if known is not None:
            if task.retries_left == 0:
                self._strip(task.id, known)
            elif known.task is not None:
                known.task = task
            return
        entries = self._objects.entries
        made = [entry for oid in oids if (entry := entries.get(oid)) is not None]
        if task.retries_left == 0 or not any(entry.value is None or type(entry.value) is Stored for entry in made):
            return
        new = [self._enter(task, len(made))]
        while new:
            self._keep_inputs(new.pop(), new)
        while self.nbytes > self._bytes_max:
            oldest = next(iter(self._whole))
            self.kept[oldest].evicted = True
            self._strip(oldest, self.kept[oldest])

    def _enter(self, task: Task, uses: int) -> Kept:
        kept = Kept(task, uses, TASK_BYTES + len(task.args) + sum(map(len, task.buffers or ())))
        self.kept[task.id] = kept
        self._whole[task.id] = None
        self.nbytes += kept.nbytes
        return kept

    def _keep_inputs(self, kept: Kept, new: list[Kept]) -> None:
        """Rule 3. To ``new`` are added creations that are kept from now on, whose inputs are to be kept as well."""
        task = kept.task
        assert task is not None
        pinned, makers, nbytes = [], [], 0
        for oid in dict.fromkeys([*(task.deps or ()), *(task.refs or ())]):
            entry = self._objects.entries.get(oid)
            if entry is None:
                continue  # of the creation of an actor that has just died
            maker = self.kept.get(task_of(oid))
            if maker is None and entry.task is not None and entry.task.may_be_revived:
                maker = self._enter(entry.task, 1)
                new.append(maker)
            if maker is not None and maker.task is not None and not entry.owner:
                maker.uses += 1
                makers.append(task_of(oid))
            elif not entry.is_actor and (type(entry.value) is Inline or (self.far and not entry.owner)):
                entry.pins += 1
                pinned.append(oid)
                nbytes += size_of(entry.value) if type(entry.value) is Inline else 0
        kept.pinned, kept.makers = pinned, makers
        kept.nbytes += nbytes
        self.nbytes += nbytes

    def creation_of(self, call: Task) -> Task | None:
        """What it takes to have the actor again that a kept call went to; None: it is not kept."""
        for oid in call.refs or ():
            kept = self.kept.get(task_of(oid))
            task = kept.task if kept is not None else None
            if task is None or task.creation is None or call.actor is None:
                continue
            if task.creation.creation.actor_id == call.actor.actor_id:
                return task
        return None

    def restored(self, oid: bytes) -> None:
        """There is an entry again of an object that a kept task makes."""
        self.kept[task_of(oid)].uses += 1

    def dropped(self, oid: bytes) -> None:
        """An entry is gone."""
        if task_of(oid) in self.kept:
            self._let_go([task_of(oid)])

    def _let_go(self, tasks: list[bytes]) -> None:
        """These tasks have one use less each."""
        self._going += tasks
        if self._letting_go:
            return
        self._letting_go = True
        while self._going:
            task_id = self._going.pop()
            kept = self.kept[task_id]
            kept.uses -= 1
            if not kept.uses:
                del self.kept[task_id]
                self._strip(task_id, kept)
        self._letting_go = False

    def _strip(self, task_id: bytes, kept: Kept) -> None:
        """Let go of a task and of what it was given, but not of the news that there was one."""
        if kept.task is None:
            return
        kept.task = None
        del self._whole[task_id]
        self.nbytes -= kept.nbytes
        pinned, makers, kept.pinned, kept.makers, kept.nbytes = kept.pinned, kept.makers, [], [], 0
        self._let_go(makers)
        for oid in pinned:
            self._objects.unpin(oid)

    def check(self) -> None:
        """The invariants, as assertions."""
        assert not self._going and not self._letting_go
        assert list(self._whole) == [task_id for task_id in self._whole if self.kept[task_id].task is not None]
        assert self.nbytes == sum(kept.nbytes for kept in self.kept.values()) <= max(self._bytes_max, 0), self.nbytes
        uses = Counter(maker for kept in self.kept.values() for maker in kept.makers)
        uses.update(task_of(oid) for oid in self._objects.entries)
        for task_id, kept in self.kept.items():
            assert kept.uses == uses[task_id] > 0, (task_id.hex(), kept.uses, uses[task_id])
            assert (kept.task is not None) == (task_id in self._whole), task_id.hex()
            for oid in kept.pinned:
                assert self._objects.entries[oid].pins > 0, (oid.hex(), "an input of a kept task was let go")
