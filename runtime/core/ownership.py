"""Who holds an object, where its value is, and when it may go.

Rules
-----
1. The process in which an object is created *owns* it: it alone knows whether it still is needed, and frees it. Others
   that hold a reference are *borrowers*; the owner keeps the set of their addresses.
2. An entry lives while it has local references (``ObjectRef`` instances and views in this process), pins (unfinished
   tasks that use it, values that contain it, results on their way), or borrowers.
3. *Register before you let go*: what a borrower says to owners is held back where it must be (`Borrowing`).
4. A value that contains references pins them as long as its own entry lives here.
5. When an owner dies its borrowers' entries without a value fail with ``OwnerDiedError``; when a borrower dies its
   registrations are dropped. What a dead owner left in shared memory is the store's: who holds it tells the node
   manager, who gets hold of it later registers there, and who lets it go says so there.
6. News of a death may have been told before this process was there. So an owner that doesn't answer is asked about.
7. A value that has been there may be lost with its node; then the entry has none again (`Directory`).

What this never knows: tasks (it tells the scheduler which of its dependents became ready), sockets, memory.
The host carries out the effects in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from raynb.runtime.core.borrowing import Borrowing
from raynb.runtime.core.directory import Directory
from raynb.runtime.core.effects import Send
from raynb.runtime.core.freed import Freed
from raynb.runtime.core.lineage import Lineage
from raynb.runtime.core.object_failures import gone, owner_died
from raynb.runtime.core.unhandled import UnhandledFailures
from raynb.runtime.core.waiters import Waiter, Wake
from raynb.runtime.core.watched import Watched
from raynb.runtime.messages import Message
from raynb.runtime.messages.ids import task_of
from raynb.runtime.messages.objects import (
    AddBorrowers,
    BorrowersAdded,
    FreeObjects,
    ObjectValues,
    OwnerGone,
    PullObjects,
    RemoveBorrowers,
    StillHeld,
)
from raynb.runtime.messages.values import Failed, Inline, Stored, Value

if TYPE_CHECKING:
    from raynb.runtime.core.task import Function, Task


class Entry(Struct, gc=False):
    """One object that this process refers to.

    Attributes
    ----------
    owner
        Address of the owner; empty if it is this process.
    local, pins
        See rule 2. Of the local references ``views`` are views of the value in shared memory.
    subscribers
        Borrowers that asked for the value before it was there.
    """

    value: Value | None = None
    local: int = 0
    views: int = 0
    pins: int = 0
    owner: str = ""
    task: Task | None = None
    borrowers: set[str] | None = None
    waiters: list[Waiter] | None = None
    dependents: list[Task] | None = None
    subscribers: list[str] | None = None
    pulled_at: float = -1.0
    stray: str = ""  # the node manager in whose memory a copy may lie that nobody told of: of an attempt that was lost
    note: str = ""
    function: Function | None = None  # whose call makes, or made, it
    site: Any = None  # where it was put, or its task was called

    @property
    def is_actor(self) -> bool:
        """Whether it is held by the handles of an actor, and has no value ever."""
        return self.task is not None and self.task.creation is not None


class Ownership:
    """The table of objects of one process. See the module's rules."""

    def __init__(self, address: str, node_manager: str, lineage_bytes_max: int = 0) -> None:
        self.address = address
        self.node = node_manager
        self.entries: dict[bytes, Entry] = {}
        self.ready_dependents: deque[Task] = deque()
        """Tasks one of whose dependencies has settled since the scheduler last looked, once for each dependency."""
        self.dropped_actors: list[Task] = []
        """Creations of actors to which nobody has a handle any more."""
        self._borrowed_by: dict[str, set[bytes]] = {}
        self._frees: dict[str, FreeObjects] = {}
        self.awaited: dict[bytes, None] = {}
        """What was asked of others and may not be there yet."""
        self._silent: dict[str, float] = {}
        """Owners from which an answer is awaited, and since when."""
        self._effects: list[Any] = []
        self.dead: set[str] = set()
        self.cut_off = False
        """Whether this process's node is gone, and what runs elsewhere is not known any more: it may read anything."""
        self.borrowing = Borrowing(node_manager, self.dead)
        self.freed = Freed(self)
        self.directory = Directory(self)
        self.lineage = Lineage(self, lineage_bytes_max)
        self.unhandled = UnhandledFailures(self)
        self.watched = Watched(self)

    # -- references of this process

    def borrow(self, oid: bytes, owner: str, local: int = 0, pins: int = 0) -> Entry:
        """A reference arrived from elsewhere (or from here): count it, and register with its owner if it is new."""
        entry = self.entries.get(oid)
        if entry is None:
            entry = self.entries[oid] = Entry(owner="" if owner == self.address else owner)
            if owner == self.address:
                entry.value = gone(oid, "its owner, this process, had already let it go")
                if task_of(oid) in self.lineage.kept:
                    self.lineage.restored(oid)
            elif self.directory.is_gone(owner):
                entry.value = owner_died(oid)
                self.borrowing.register(oid, owner)
            else:
                self.borrowing.register(oid, owner)
        entry.local += local
        entry.pins += pins
        return entry

    def retain(self, oid: bytes, owner: str = "", view: bool = False) -> None:
        """One more local reference; without an owner's address this process already refers to the object."""
        entry = self.borrow(oid, owner, local=1) if owner else self.entries[oid]
        entry.local += not owner
        entry.views += view

    def let_view_go(self, oid: bytes) -> None:
        """A view is gone."""
        self.entries[oid].views -= 1
        self.release(oid)

    def release(self, oid: bytes) -> None:
        """A local reference (or view) is gone."""
        entry = self.entries[oid]
        entry.local -= 1
        if entry.local <= 0 and entry.pins <= 0 and not entry.borrowers:
            self._drop(oid, entry)

    def pin(self, oid: bytes) -> Entry:
        entry = self.entries[oid]
        entry.pins += 1
        return entry

    def unpin(self, oid: bytes) -> None:
        entry = self.entries[oid]
        entry.pins -= 1
        if entry.local <= 0 and entry.pins <= 0 and not entry.borrowers:
            self._drop(oid, entry)

    def _drop(self, oid: bytes, entry: Entry) -> None:
        # Not by recursion: values may contain references to values that contain references, ten thousands deep.
        dropping = [(oid, entry)]
        while dropping:
            oid, entry = dropping.pop()
            del self.entries[oid]
            value = entry.value if oid not in self.freed.values else self.freed.take(oid)
            if entry.is_actor and entry.task is not None:
                self.dropped_actors.append(entry.task)
            elif entry.owner:
                self.borrowing.let_go(oid, entry.owner)
            elif type(value) is Stored:
                self.free_at(value.node, oid, value)
            elif entry.stray:
                self.free_at(entry.stray, oid)
            contained = None
            if isinstance(value, Failed):
                self.unhandled.dropped(value)
            elif value is not None:
                contained = value.refs
            if self.directory.used:
                contained = [*(contained or ()), *self.directory.dropped(oid)]
            for ref in contained or ():
                inner = self.entries[ref.oid]
                inner.pins -= 1
                if inner.pins <= 0 and inner.local <= 0 and not inner.borrowers:
                    dropping.append((ref.oid, inner))
            if self.lineage.kept:
                self.lineage.dropped(oid)
            if self.watched.oids:
                self.watched.ended(oid)

    # -- values

    def create(self, oid: bytes, local: int, task: Task | None = None, note: str = "") -> Entry:
        """An object of this process's own; its value comes later."""
        entry = self.entries[oid] = Entry(local=local, task=task, note=note)
        return entry

    def settle(self, oid: bytes, value: Value) -> bool:
        """The value of an object is known. False if nobody refers to it any more (the value is discarded then)."""
        entry = self.entries.get(oid)
        if entry is None:
            self.discard([value])
            return False
        if entry.value is not None:
            if not entry.owner:
                self.discard([value])  # too late, or once more
            return True
        if self.dead and self.directory.is_dead(value):
            assert type(value) is Stored
            self.directory.arrived_dead(entry, value)
            return True
        if not isinstance(value, Failed) and value.refs:
            for ref in value.refs:
                self.borrow(ref.oid, ref.owner, pins=1)
        entry.value = value
        entry.task = None
        if entry.stray:
            self._settle_stray(oid, entry)
        if self.directory.used:
            self.directory.settled(oid)
        if entry.waiters is not None:
            for waiter in entry.waiters:
                waiter.needed -= 1
                if waiter.needed > 0 and waiter.fails_fast and type(value) is Failed:
                    waiter.needed, waiter.early = 0, True
                if waiter.needed == 0:
                    self._effects.append(Wake(waiter))
            entry.waiters = None
        if entry.dependents is not None:
            self.ready_dependents.extend(entry.dependents)
            entry.dependents = None
        if entry.subscribers is not None:
            for subscriber in entry.subscribers:
                self._effects.append(Send(subscriber, ObjectValues([oid], [value])))
            entry.subscribers = None
        return True

    def _settle_stray(self, oid: bytes, entry: Entry) -> None:
        stray, entry.stray = entry.stray, ""
        if type(entry.value) is not Stored:
            self.free_at(stray, oid)
        elif entry.value.node != stray:
            self.directory.leave(oid, stray)

    def discard(self, values: Iterable[Value]) -> None:
        """A result comes too late: what of it lies in shared memory is free."""
        for value in values:
            if isinstance(value, Stored):
                self.left_behind(value.node, value.oid, value)

    def left_behind(self, node: str, oid: bytes, copy: Stored | None = None) -> None:
        """There is a copy of an object in a node's memory that nobody will tell of. A newer one may be under way.
        ``copy``: where it is, if that is known."""
        entry = self.entries.get(oid)
        value = None if entry is None else self.freed.values.get(oid, entry.value)
        if entry is None or isinstance(value, Inline | Failed):
            self.free_at(node, oid, copy)
        elif value is not None or copy is not None:
            self.directory.leave(oid, node, copy)
        else:
            if entry.stray and entry.stray != node:
                self.directory.leave(oid, entry.stray)
            entry.stray = node

    def free_at(self, node: str, oid: bytes, copy: Stored | None = None) -> None:
        """Whatever of an object lies in a node's memory is free; also this copy, of which that may not know yet."""
        if node not in self.dead and not self.cut_off:
            frees = self._frees.get(node)
            if frees is None:
                frees = self._frees[node] = FreeObjects([])
            frees.oids.append(oid)
            frees.at.append((copy.segment, copy.offset) if copy is not None else ("", 0))

    def send(self, to: str, message: Message) -> None:
        """Send something that lets nobody let go of anything."""
        self._effects.append(Send(to, message))

    def tell(self, effect: object) -> None:
        """Have the host carry this out."""
        self._effects.append(effect)

    def lost(self, failure: Failed) -> None:
        """The node is gone: what has no value will never have one."""
        for oid, entry in list(self.entries.items()):
            if entry.value is None and not entry.is_actor:
                self.settle(oid, failure)

    def wait(self, waiter: Waiter, oids: Iterable[bytes], now: float) -> None:
        """Register a waiter with those objects that have no value yet; wakes it at once where enough have."""
        for oid in oids:
            entry = self.entries.get(oid)
            if entry is None or entry.value is not None:
                waiter.needed -= 1
                if entry is not None and type(entry.value) is Failed:
                    self.unhandled.saw(entry.value)
                    if waiter.fails_fast:
                        waiter.needed, waiter.early = 0, True
                        break
                continue
            if entry.waiters is None:
                entry.waiters = []
            entry.waiters.append(waiter)
            self.want(oid, entry, now)
        if waiter.needed <= 0:
            waiter.needed = 0
            self._effects.append(Wake(waiter))

    def unwait(self, waiter: Waiter, oids: Iterable[bytes]) -> None:
        """The waiter has given up, or has enough."""
        for oid in oids:
            entry = self.entries.get(oid)
            if entry is not None and entry.waiters is not None and waiter in entry.waiters:
                entry.waiters.remove(waiter)

    def want(self, oid: bytes, entry: Entry, now: float) -> None:
        """Somebody here needs the value of an object: ask its owner, if that is another."""
        if entry.owner and entry.pulled_at < 0:
            entry.pulled_at = now
            self.awaited[oid] = None
            self.borrowing.pull(oid, entry.owner)

    def depend(self, oid: bytes, task: Task, now: float) -> bool:
        """``task`` uses the object: pin it. True if its value is not there yet; the task is told when it is."""
        entry = self.entries[oid]
        entry.pins += 1
        if entry.value is not None:
            return False
        if entry.dependents is None:
            entry.dependents = []
        entry.dependents.append(task)
        self.want(oid, entry, now)
        return True

    def unsettled(self, task: Task) -> int:
        """How many of the values that a task is given are not there."""
        return sum(self.entries[oid].value is None for oid in task.deps or ())

    # -- what other processes say

    def on_add_borrowers(self, sender: str, message: AddBorrowers) -> None:
        lost = []
        for oid in message.oids:
            entry = self.entries.get(oid)
            if entry is None or self.directory.is_gone(sender):
                lost.append(oid)
                continue
            if entry.borrowers is None:
                entry.borrowers = set()
            entry.borrowers.add(sender)
            self._borrowed_by.setdefault(sender, set()).add(oid)
        self._effects.append(Send(sender, BorrowersAdded(message.oids, lost)))

    def on_borrowers_added(self, sender: str, message: BorrowersAdded) -> None:
        for oid in message.lost:
            self.settle(oid, gone(oid, "its owner had already let it go"))
        self.borrowing.answered(sender)

    def on_remove_borrowers(self, sender: str, message: RemoveBorrowers) -> None:
        for oid in message.oids:
            self._remove_borrower(sender, oid)

    def _remove_borrower(self, borrower: str, oid: bytes) -> None:
        entry = self.entries.get(oid)
        if entry is None or entry.borrowers is None:
            return
        entry.borrowers.discard(borrower)
        held = self._borrowed_by.get(borrower)
        if held is not None:
            held.discard(oid)
        if not entry.borrowers and entry.local <= 0 and entry.pins <= 0:
            self._drop(oid, entry)

    def on_pull(self, sender: str, message: PullObjects) -> None:
        oids: list[bytes] = []
        values: list[Value] = []
        for oid in message.oids:
            entry = self.entries.get(oid)
            if entry is None:
                oids.append(oid)
                values.append(gone(oid, "its owner had already let it go"))
            elif entry.value is not None:
                oids.append(oid)
                values.append(entry.value)
                self.unhandled.saw(entry.value)
            else:
                if entry.subscribers is None:
                    entry.subscribers = []
                if sender not in entry.subscribers:
                    entry.subscribers.append(sender)
        if oids:
            self._effects.append(Send(sender, ObjectValues(oids, values)))

    def on_values(self, message: ObjectValues) -> None:
        for oid, value in zip(message.oids, message.values, strict=True):
            if oid in self.entries:
                self.settle(oid, value)

    def process_died(self, address: str) -> None:
        """A process of the cluster is gone: as a borrower, and as an owner."""
        self.dead.add(address)
        for oid in self._borrowed_by.pop(address, set()).copy():
            self._remove_borrower(address, oid)
        self.borrowing.process_died(address)
        for oid, entry in list(self.entries.items()):
            if entry.owner == address and entry.value is None:
                self.settle(oid, owner_died(oid))

    def on_owner_gone(self, sender: str, message: OwnerGone) -> None:
        """The store asks who holds what a dead owner left in it."""
        self.process_died(message.owner)
        # What has no value can't be read any more, whoever has a reference.
        held = [
            oid
            for oid, entry in self.entries.items()
            if entry.owner == message.owner and (entry.views or type(entry.value) is not Failed)
        ]
        self._effects.append(Send(sender, StillHeld(message.owner, held)))

    # -- what goes out

    def tick(self, now: float, after_s: float) -> list[str]:
        """Ask again for what is still awaited: a pushed value is a hint, the state is pulled.

        Returns
        -------
        list of str
            Owners that have not answered for ``after_s``: do they live?
        """
        waits_for = dict.fromkeys(self.borrowing.unanswered)
        for oid in list(self.awaited):
            entry = self.entries.get(oid)
            if entry is None or entry.value is not None:
                del self.awaited[oid]
                continue
            waits_for[entry.owner] = None
            if now - entry.pulled_at > after_s:
                entry.pulled_at = now
                self.borrowing.pull(oid, entry.owner)
        waits_for.pop(self.node, None)
        self._silent = {owner: self._silent.get(owner, now) for owner in waits_for}
        if self.directory.used:
            self.directory.tick(now, after_s)
        silent = [owner for owner, since in self._silent.items() if now - since > after_s]
        for owner in silent:
            self._silent[owner] = now
        return silent

    def flush(self) -> list[Any]:
        """The effects since the last flush, in the order in which the host must carry them out."""
        effects, self._effects = self._effects, []
        self.borrowing.flush(effects)
        if self._frees:
            effects += [Send(node, frees) for node, frees in self._frees.items()]
            self._frees = {}
        return effects

    @property
    def processes(self) -> list[str]:
        """Owners of what is borrowed here, and borrowers of what is owned."""
        owners = dict.fromkeys(entry.owner for entry in self.entries.values() if entry.owner)
        return [*owners, *self._borrowed_by, *self.borrowing.unanswered]

    @property
    def owns_any(self) -> bool:
        """Whether an object lives here and nowhere else."""
        return any(not entry.owner for entry in self.entries.values())

    def check(self) -> None:
        """The invariants, as assertions."""
        self.freed.check()
        self.directory.check()
        self.lineage.check()
        for oid, entry in self.entries.items():
            assert entry.local >= entry.views >= 0, (oid.hex(), "local references below zero", entry)
            assert entry.pins >= 0, (oid.hex(), "pins below zero", entry)
            assert entry.local or entry.pins or entry.borrowers, (oid.hex(), "nobody holds it, yet it is here", entry)
            if entry.value is not None:
                assert not entry.waiters and not entry.dependents and not entry.subscribers, (oid.hex(), entry)
            if type(entry.value) is Inline or type(entry.value) is Stored:
                for ref in entry.value.refs or ():
                    assert ref.oid in self.entries, (oid.hex(), "contains a reference that was let go", ref)

    def statistics(self) -> dict[str, int]:
        return {
            "objects": len(self.entries),
            "owned": sum(1 for entry in self.entries.values() if not entry.owner),
            "pending": sum(1 for entry in self.entries.values() if entry.value is None),
            "held_back": len(self.borrowing.held_back),
        }
