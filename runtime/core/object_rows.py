"""A process's own objects as the state API shows them."""

from __future__ import annotations

from collections.abc import Callable

from raynb.runtime.core.effects import Send
from raynb.runtime.core.ownership import Entry
from raynb.runtime.messages.events import ObjectRow, ObjectRows, ReportObjects
from raynb.runtime.messages.values import Inline, Stored

Failures = Callable[[bytes], int]
"""How many failed tasks an object is kept for (`FailedTasks.uses`)."""


def report(sender: str, message: ReportObjects, entries: dict[bytes, Entry], failures: Failures) -> Send:
    """The answer to the GCS."""
    rows, total = largest(entries, message.limit, failures)
    return Send(sender, ObjectRows(message.request, rows, total, 0))


def largest(entries: dict[bytes, Entry], limit: int, failures: Failures) -> tuple[list[ObjectRow], int]:
    """Rows of the largest objects that this process owns, and how many it owns in all."""
    rows = [row_of(oid, entry, failures(oid)) for oid, entry in entries.items() if not entry.owner]
    rows.sort(key=lambda row: -row.size)
    return rows[:limit], len(rows)


def row_of(oid: bytes, entry: Entry, failures: int) -> ObjectRow:
    """An owned object as the state API shows it."""
    value = entry.value
    size = 0
    state = "PENDING"
    if type(value) is Inline:
        size, state = len(value.data) + sum(map(len, value.buffers or ())), "READY"
    elif type(value) is Stored:
        size, state = value.size, "STORED"
    elif value is not None:
        state = "FAILED"
    # All failures that keep an object share one pin.
    tasks = entry.pins - (failures > 0)
    return ObjectRow(oid, size, state, entry.local, tasks, len(entry.borrowers or ()), entry.note, failures=failures)
