"""Where the values of this process's objects lie, and what becomes of a value whose place is gone.

Rules
-----
1. The value of an entry is its *primary*: what the task's result, or the put, told. Beside it an owner knows the copies
   in other nodes, as far as those have told of them. All of them are freed with the object.
2. A value is lost when its node dies, or when a reader says that it can't be had there. From that very event on the
   entry has none: so nobody reads it or pushes it any more, and whoever depends on it waits again (`client_losses`).
3. A copy takes the place of a lost primary when its node has promised to keep it (`KeepCopies`): until then that may
   drop it at any time. Copies are asked one by one. When there is none, the value is ``lost``: it is made again.
4. A borrower of a lost value asks the owner for the next one. It says which one it was told: the owner may not have
   heard yet, and then it believes the borrower.
5. What arrives from a node that is dead already (a result that was under way, news of a copy) counts as lost at once.
6. Two attempts of a task may each have left a value in a node, of which one alone is told to readers. The other's node
   is remembered, and told when the object is freed, not before: it may have (a copy of) the one that is read, too.
7. What a lost value contained stays pinned until there is another value, or the object is let go.

What this never knows: tasks, and how a value is made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from raynb.runtime.core.node_identity import session_of
from raynb.runtime.core.object_failures import owner_died
from raynb.runtime.messages.copies import (
    CopiesKept,
    CopyAdded,
    CopyDropped,
    KeepCopies,
    LocateObjects,
    Location,
    ValuesLost,
)
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.objects import PullObjects, is_spilled
from raynb.runtime.messages.values import Inline, RefInfo, Stored, Value, size_of

if TYPE_CHECKING:
    from raynb.runtime.core.ownership import Entry, Ownership


class Directory:
    """The places of one process's objects. See the module's rules."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self.used = False
        """Whether there has ever been anything to know: a process that deals with one node only pays nothing."""
        self.copies: dict[bytes, dict[str, Stored]] = {}
        """By own object and node."""
        self._left: dict[bytes, list[tuple[str, Stored | None]]] = {}
        """By own object: nodes to be told when it is freed (rule 6), and where it lies there, if that is known."""
        self._asked: dict[bytes, tuple[Stored, float]] = {}
        """Own objects without a value: the copy whose node was asked to keep it, and when (-1: just now)."""
        self._contained: dict[bytes, list[RefInfo]] = {}
        """Rule 7."""
        self.unset: dict[bytes, None] = {}
        """Objects, own and borrowed, that have just lost their value (rule 2)."""
        self.lost: dict[bytes, str] = {}
        """Own objects of which nothing is left, since the last event, and what became of the last of it."""
        self._ends: dict[str, str] = {}
        """By node that is dead: what of."""
        self._sessions: set[str] = set()
        """Of those nodes: what the addresses of their processes have in common."""

    # -- values that are lost

    def is_dead(self, value: Value) -> bool:
        """Whether a value lies in a node that is dead."""
        return type(value) is Stored and value.node in self._objects.dead

    def is_gone(self, address: str) -> bool:
        """Whether a process is dead. All of a dead node's are, told of or not: their last words may come later."""
        return address in self._objects.dead or (bool(self._sessions) and session_of(address) in self._sessions)

    def arrived_dead(self, entry: Entry, value: Stored) -> None:
        """Rule 5: the entry has no value, and won't have this one."""
        if not entry.owner:
            self._next(value.oid, value.node)
        elif entry.owner in self._objects.dead:
            self._objects.settle(value.oid, owner_died(value.oid))
        else:
            self._say_lost(entry, value)

    def node_died(self, node: str, reason: str) -> None:
        """A node is gone with all that lay in it. Its processes' deaths tell so, too: the first news counts."""
        if node in self._ends:
            return
        self._ends[node] = reason if reason.startswith("its node") else f"its node is gone: {reason}"
        self._objects.dead.add(node)
        if session := session_of(node):
            self._sessions.add(session)
        for oid in [oid for oid, copies in self.copies.items() if node in copies]:
            self._forget_copy(oid, node)
        entries = self._objects.entries
        for oid in [oid for oid, entry in entries.items() if type(entry.value) is Stored and entry.value.node == node]:
            entry = entries.get(oid)
            if entry is not None and type(entry.value) is Stored:
                self._lose(oid, entry, entry.value)
        for oid, (asked, _) in list(self._asked.items()):
            if asked.node == node:
                self._next(oid, node)

    def value_lost(self, stored: Stored, now: float, why: str = "") -> None:
        """A reader, here or elsewhere, could not have this value from its place."""
        oid = stored.oid
        entry = self._objects.entries.get(oid)
        if entry is None:
            return
        value = entry.value
        if type(value) is Stored and _same(value, stored):
            if not entry.owner:
                self.leave(oid, value.node, value)
            self._lose(oid, entry, value, why)
            if entry.owner and entry.value is None:
                entry.pulled_at = now
                self._objects.awaited[oid] = None
                self._say_lost(entry, value, why)
        elif (copy := self.copies.get(oid, {}).get(stored.node)) is not None and _same(copy, stored):
            self._forget_copy(oid, stored.node)
            self.leave(oid, stored.node)

    def on_values_lost(self, sender: str, message: ValuesLost, now: float) -> None:
        """A borrower of ours could not have values; or a worker the inputs of a task, and it returns that."""
        for value in message.values:
            self.value_lost(value, now, message.why)
        own = [value.oid for value in message.values if self._is_own(value.oid)]
        if own:
            self._objects.on_pull(sender, PullObjects(own))

    def _is_own(self, oid: bytes) -> bool:
        entry = self._objects.entries.get(oid)
        return entry is None or not entry.owner

    def _lose(self, oid: bytes, entry: Entry, value: Stored, why: str = "") -> None:
        self.used = True
        entry.value = entry.task = None
        self.unset[oid] = None
        if value.refs:
            self._contained[oid] = value.refs
        if not entry.owner:
            self._next(oid, value.node, why)
        elif entry.owner in self._objects.dead:
            self._objects.settle(oid, owner_died(oid))
        else:
            entry.pulled_at = -1.0
            self._objects.awaited.pop(oid, None)

    def _say_lost(self, entry: Entry, value: Stored, why: str = "") -> None:
        """Rule 4."""
        self._objects.send(entry.owner, ValuesLost([value], why))

    def _next(self, oid: bytes, node: str, why: str = "") -> None:
        """Rule 3: ask for the next copy, or give up."""
        self.used = True
        for copy in self.copies.get(oid, {}).values():
            self._asked[oid] = (copy, -1.0)
            self._objects.send(copy.node, KeepCopies([oid]))
            self.lost.pop(oid, None)
            return
        self._asked.pop(oid, None)
        self.lost[oid] = self._ends.get(node) or why or "its node has it no longer"

    def not_made(self, oid: bytes) -> None:
        """What was to make an object's value again has ended without it."""
        if oid not in self._asked:
            self.lost.setdefault(oid, "")

    # -- what nodes say of copies

    def on_copy_added(self, sender: str, message: CopyAdded) -> None:
        """A node has a copy, too."""
        for copy in message.copies:
            oid = copy.oid
            entry = self._objects.entries.get(oid)
            if copy.node in self._objects.dead:
                continue
            if entry is None:
                self._objects.free_at(copy.node, oid)
                continue
            if entry.owner or (type(entry.value) is Stored and entry.value.node == copy.node):
                continue
            self.used = True
            self.copies.setdefault(oid, {})[copy.node] = copy
            if entry.value is None and oid not in self._asked:
                self._next(oid, copy.node)

    def on_copy_dropped(self, sender: str, message: CopyDropped) -> None:
        """A node has copies no longer."""
        for oid in message.oids:
            self._gone(oid, sender)

    def on_copies_kept(self, sender: str, message: CopiesKept) -> None:
        """A node promises to keep copies, or can't."""
        for oid in message.kept:
            copy, _ = self._asked.get(oid, (None, 0.0))
            if copy is not None and copy.node == sender:
                self._forget_copy(oid, sender)
                self._objects.settle(oid, copy)
        for oid in message.gone:
            self._gone(oid, sender)

    def _gone(self, oid: bytes, node: str) -> None:
        self._forget_copy(oid, node)
        asked = self._asked.get(oid)
        if asked is not None and asked[0].node == node:
            self._next(oid, node)

    def _forget_copy(self, oid: bytes, node: str) -> None:
        copies = self.copies.get(oid)
        if copies is not None and copies.pop(node, None) is not None and not copies:
            del self.copies[oid]

    def leave(self, oid: bytes, node: str, copy: Stored | None = None) -> None:
        """Rule 6: something lies in a node that is to be freed with the object."""
        self.used = True
        self._left.setdefault(oid, []).append((node, copy))

    # -- values that come, objects that go

    def settled(self, oid: bytes) -> None:
        """An own or borrowed object has a value (again), whose references are pinned."""
        self._asked.pop(oid, None)
        self.lost.pop(oid, None)
        for ref in self._contained.pop(oid, ()):
            self._objects.unpin(ref.oid)

    def dropped(self, oid: bytes) -> list[RefInfo]:
        """An object is let go. Gives what a lost value of it contained."""
        self.freed(oid)
        self._asked.pop(oid, None)
        self.lost.pop(oid, None)
        self.unset.pop(oid, None)
        return self._contained.pop(oid, [])

    def freed(self, oid: bytes) -> None:
        """An object is freed: wherever else something of it lies, too."""
        for node in self.copies.pop(oid, {}):
            self._objects.free_at(node, oid)
        for node, copy in self._left.pop(oid, ()):
            self._objects.free_at(node, oid, copy)

    @property
    def asks(self) -> bool:
        """Whether a node's answer is awaited."""
        return bool(self._asked)

    def on_locate(self, sender: str, message: LocateObjects) -> None:
        """Somebody wants to know where objects of this process are."""
        found = [self.locate(oid) for oid in message.oids]
        self._objects.send(sender, Reply(message.request, msgspec.msgpack.encode(found)))

    def locate(self, oid: bytes) -> Location:
        """Where an object is, as far as it is known here: all of its places if it is an own one. Safe in any thread."""
        entry = self._objects.entries.get(oid)
        value = None if entry is None else entry.value
        if type(value) is Stored:
            nodes = [value.node, *self.copies.get(oid, ())]
            return Location(nodes, value.size, is_spilled(value.segment))
        if type(value) is Inline:
            return Location([self._objects.node], size_of(value))
        return Location([])

    def tick(self, now: float, after_s: float) -> None:
        """An answer may be lost: ask again whether a copy is kept."""
        for oid, (copy, asked_at) in self._asked.items():
            if asked_at < 0:
                self._asked[oid] = (copy, now)
            elif now - asked_at > after_s:
                self._asked[oid] = (copy, now)
                self._objects.send(copy.node, KeepCopies([oid]))

    def check(self) -> None:
        """The invariants, as assertions."""
        entries = self._objects.entries
        for oid in (*self.copies, *self._left, *self._asked):
            assert oid in entries and not entries[oid].owner, (
                oid.hex(),
                "places of what is not here",
                entries.get(oid),
            )
        for oid in self._asked:
            assert entries[oid].value is None, (oid.hex(), "has a value, and waits for a copy")
        for oid, entry in entries.items():
            assert entry.value is None or not self.is_dead(entry.value), (oid.hex(), "lies in a dead node")


def _same(one: Stored, other: Stored) -> bool:
    return (one.node, one.segment, one.offset) == (other.node, other.segment, other.offset)
