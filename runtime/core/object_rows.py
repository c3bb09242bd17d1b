"""A process's own objects as the state API shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import nlargest
from itertools import islice
from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.ownership import Entry
from raynb.runtime.core.task import Task
from raynb.runtime.messages.events import ObjectRow, ObjectRows, ReportObjects
from raynb.runtime.messages.objects import is_spilled
from raynb.runtime.messages.values import Failed, Inline, Stored, ValueKind, size_of

TASKS_MAX: Final = 20_000
"""Of a process's unfinished tasks so many are looked at for what they use."""
USERS_MAX: Final = 4

Failures = Callable[[bytes], int]
"""How many failed tasks an object is kept for (`FailedTasks.uses`)."""


class OwnRows:
    """Makes the rows of one process."""

    def __init__(self, entries: dict[bytes, Entry], failures: Failures, unfinished: dict[bytes, Task]) -> None:
        self._entries = entries
        self._failures = failures
        self._unfinished = unfinished
        self.kind_of: Callable[[Inline], ValueKind | None] = lambda value: None
        """Tells what a small value is; the core itself reads no pickles."""
        self.site_of: Callable[[Any], str] = lambda site: ""
        """Tells where a value was put."""

    def report(self, sender: str, message: ReportObjects) -> Send:
        """The answer to the GCS: the largest objects that this process owns (or holds), and how many those are."""
        entries = self._entries
        if message.oid:
            asked = entries.get(message.oid)
            entries = {message.oid: asked} if asked is not None else {}
        held = [(oid, entry) for oid, entry in entries.items() if message.borrowed or not entry.owner]
        largest = nlargest(message.limit, held, key=lambda each: size_of(each[1].value)) if len(held) > 1 else held
        pinned = {oid for oid, entry in largest if entry.pins}
        users, containers = self._users(pinned), self._containers(pinned)
        rows = [self.row(oid, entry, users.get(oid), containers[oid]) for oid, entry in largest]
        return Send(sender, ObjectRows(message.request, rows, len(held), 0))

    def _containers(self, oids: set[bytes]) -> Counter[bytes]:
        """How many values have these inside."""
        found: Counter[bytes] = Counter()
        for entry in self._entries.values() if oids else ():
            value = entry.value
            if value is not None and not isinstance(value, Failed) and value.refs:
                found.update(ref.oid for ref in value.refs if ref.oid in oids)
        return found

    def _users(self, oids: set[bytes]) -> dict[bytes, Counter[str]]:
        """Names of the unfinished tasks that use these, as far as `TASKS_MAX` tasks tell."""
        found: dict[bytes, Counter[str]] = {}
        for task in islice(self._unfinished.values(), TASKS_MAX if oids else 0):
            for oid in {*(task.deps or ()), *(task.refs or ())} & oids:
                found.setdefault(oid, Counter())[task.name or task.function.name] += 1
        return found

    def row(self, oid: bytes, entry: Entry, users: Counter[str] | None = None, contained: int = 0) -> ObjectRow:
        """An object as the state API shows it."""
        value, kind, state, on_disk = entry.value, None, "PENDING", False
        if type(value) is Inline:
            state, kind = "READY", self.kind_of(value)
        elif type(value) is Stored:
            state, kind, on_disk = "STORED", value.kind, is_spilled(value.segment)
        elif value is not None:
            state = "FAILED"
        failures = self._failures(oid)
        return ObjectRow(
            oid,
            size_of(value),
            state,
            entry.local,
            entry.pins - contained - (failures > 0),  # all failures that keep an object share one pin
            len(entry.borrowers or ()),
            self._site(entry),
            kind or (ValueKind(entry.note) if entry.note else None),
            failures,
            [f"task {name}" if n == 1 else f"{n} x task {name}" for name, n in users.most_common(USERS_MAX)]
            if users
            else [],
            sorted(entry.borrowers)[:USERS_MAX] if entry.borrowers else [],
            entry.views,
            contained,
            entry.owner,
            on_disk,
        )

    def _site(self, entry: Entry) -> str:
        if entry.site is not None:
            return self.site_of(entry.site)
        return entry.function.call_site if entry.function is not None else ""
