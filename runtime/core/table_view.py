"""A page of a table, as a screen asks for it: filtered, searched, sorted.

Rules
-----
* Tasks are many: which rows match, and their order, is decided on the columns; rows are made of the page alone. They
  can be sorted by `TASK_SORTS`.
* All other tables are short, and objects are gathered from their owners (`Gather`), at most once in `OBJECTS_PAUSE_S`;
  those of the past are known as `past_objects` says.
* An unknown field is a `ValueError` that names those there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nlargest, nsmallest
from typing import Any, Final, Protocol

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.live_view import Tables
from raynb.runtime.core.past_objects import PastObjects
from raynb.runtime.core.past_rows import rows_between, rows_then
from raynb.runtime.core.task_moment import NOT_YET, Lens
from raynb.runtime.core.task_views import (
    ERROR_TYPES,
    MORE_TASK_FIELDS,
    NAME_FIELDS,
    TASK_FIELDS,
    WORKER_FIELDS,
    column_test,
    name_text,
    task_row,
    task_row_then,
    worker_text,
)
from raynb.runtime.core.views import Page, Row, compile_filters, matcher
from raynb.runtime.messages.events import TASK_STATES
from raynb.runtime.messages.screen import TablePage, TableView

ROWS_MAX: Final = 1000
SEARCHED_IDS_CHARS_MIN: Final = 4
OBJECTS_PAUSE_S: Final = 1.0
NOT_SHOWN: Final = frozenset(
    ("language", "runtime_env_info", "placement_group_id", "profiling_data", "task_log_info", "is_debugger_paused")
)


class RowSource(Protocol):
    """Where the rows of the short tables come from."""

    def table_rows(self, table: str) -> tuple[list[Row], tuple[str, ...]]:
        """All rows, and their fields."""
        ...


class ShortTable:
    """A `TableView` of nodes, workers, actors or jobs."""

    def __init__(self, tables: Tables, source: RowSource, view: TableView, changes: Callable[[], int]) -> None:
        self._members = tables.members
        self._events = tables.events
        self._source = source
        self._view = view
        self._changes = changes
        self._page = TablePage([], 0)
        self.cost = 0
        _, fields = source.table_rows(view.table)
        compile_filters(view.filters, fields)
        check_sort(view.sort, fields)

    def stamp(self) -> object:
        return self._changes() if self._view.at is None else None

    def whole(self) -> TablePage:
        return self._page

    def refresh(self, wall: float) -> TablePage | None:
        rows, fields = self._source.table_rows(self._view.table)
        self.cost = len(rows)
        if self._view.at is not None:
            rows = rows_then(self._view.table, rows, self._view.at, self._members)
        if self._view.between is not None:
            rows = rows_between(self._view.table, rows, *self._view.between, self._events)
            self.cost += len(self._events) if self._view.table == "actors" else 0
        page = page_of(rows, fields, self._view)
        before, self._page = self._page, page
        return None if page == before else page


def page_of(rows: Iterable[Row], fields: tuple[str, ...], view: TableView, sort: str = "") -> TablePage:
    """Filter, search and sort plain rows, which are in the order of their age. ``sort``: where the view names none."""
    sort = view.sort or sort
    passes = compile_filters(view.filters, fields)
    found = [row for row in rows if passes(row) and _contains(row, view.search)]
    if sort:
        found.sort(key=lambda row: _orderable(row[sort]), reverse=view.descending)
    elif view.descending:
        found.reverse()
    offset, limit = max(0, view.offset), clamp(view.limit)
    return TablePage(found[offset : offset + limit], len(found))


def check_sort(sort: str, fields: Iterable[str]) -> None:
    """`ValueError` if there is no such field."""
    if sort and sort not in fields:
        raise ValueError(f"there is no field {sort!r} to sort by; there are: {', '.join(fields)}")


def clamp(limit: int) -> int:
    return max(0, min(limit, ROWS_MAX))


def _contains(row: Row, search: str) -> bool:
    text = search.lower()
    return not text or any(text in str(value).lower() for value in row.values() if value is not None)


def _orderable(value: Any) -> tuple[int, Any]:
    """Values of a field may be of several types: None first, then numbers, then text."""
    if value is None:
        return 0, 0
    return (1, value) if isinstance(value, int | float) else (2, str(value))


# -- tasks

TASK_SORTS: Final = (
    "creation_time_ms",
    "start_time_ms",
    "end_time_ms",
    "duration_ms",
    "result_size",
    "attempt_number",
    "state",
    "name",
    "func_or_class_name",
    "type",
    "job_id",
    "cell",
    "call_site",
    "worker_pid",
    "node_id",
)


class TaskTable:
    """A `TableView` of tasks."""

    def __init__(self, tables: Tables, view: TableView) -> None:
        self._table: EventTable = tables.events
        self._view = view
        self._page = TablePage([], 0)
        self.cost = 0
        self._passes = compile_filters(view.filters, (*TASK_FIELDS, *MORE_TASK_FIELDS))
        self._lens = Lens(tables.events, view.at, view.between)
        check_sort(view.sort, TASK_SORTS)

    def stamp(self) -> object:
        return self._table.changes if self._lens.at_s is None else None

    def whole(self) -> TablePage:
        return self._page

    def refresh(self, wall: float) -> TablePage | None:
        view, table = self._view, self._table
        slots: Iterable[int] = table.slots()
        total = len(table)
        self.cost = total
        if view.filters or view.search or not self._lens.plain:
            slots = self._matching()
            total = len(slots)
        limit = clamp(view.limit)
        best = nlargest if view.descending else nsmallest
        chosen = best(max(0, view.offset) + limit, slots, key=self._key())[max(0, view.offset) :]
        page = TablePage([self._row(slot) for slot in chosen], total, table.dropped)
        before, self._page = self._page, page
        return None if page == before else page

    def _matching(self) -> list[int]:
        slots: Iterable[int] = self._table.slots()
        filters, state_of = self._view.filters, self._lens.state
        if not self._lens.plain:
            slots = [slot for slot in slots if state_of(slot) != NOT_YET]
        if self._lens.at_s is not None:  # columns tell of now
            tests = [matcher(operator, value) for field, operator, value in filters if field == "state"]
            slots = [slot for slot in slots if all(matches(TASK_STATES[state_of(slot)]) for matches in tests)]
            filters = tuple(entry for entry in filters if entry[0] != "state")
        test, whole = column_test(self._table, filters)
        found = [slot for slot in slots if test(slot)]
        if not whole:
            found = [slot for slot in found if self._passes(self._row(slot))]
        if self._view.search:
            contains = self._search_test(self._view.search.lower())
            found = [slot for slot in found if contains(slot)]
        return found

    def _row(self, slot: int) -> Row:
        row = task_row(self._table, slot)
        at_s = self._lens.at_s
        return row if at_s is None else task_row_then(row, TASK_STATES[self._lens.state(slot)], at_s * 1000)

    def _search_test(self, text: str) -> Callable[[int], bool]:
        table = self._table
        names = {
            position
            for position, name in enumerate(table.names.names)
            if name is not None and any(text in name_text(table, position, f).lower() for f in NAME_FIELDS)
        }
        workers = {
            number
            for number in range(len(table.names.workers))
            if any(text in worker_text(table, number, field) for field in WORKER_FIELDS)
        }
        states = {state for state, word in enumerate(TASK_STATES) if text in word.lower()}
        digits = len(text) >= SEARCHED_IDS_CHARS_MIN and set(text) <= set("0123456789abcdef")
        ids, name, worker, state, errors = table.ids, table.name, table.worker, table.state, table.errors

        def contains(slot: int) -> bool:
            if name[slot] in names or state[slot] in states or worker[slot] in workers:
                return True
            if digits and text in ids[slot].hex():
                return True
            kind, message = errors.get(slot, ("", ""))
            return bool(kind) and (text in ERROR_TYPES.get(kind, kind).lower() or text in message.lower())

        return contains

    def _key(self) -> Callable[[int], Any]:
        table = self._table
        columns: dict[str, Callable[[int], Any]] = {
            "": table.submitted.__getitem__,
            "creation_time_ms": table.submitted.__getitem__,
            "start_time_ms": table.started.__getitem__,
            "end_time_ms": table.ended.__getitem__,
            "duration_ms": lambda slot: table.ended[slot] - table.started[slot] if table.ended[slot] else 0.0,
            "result_size": table.size.__getitem__,
            "attempt_number": table.attempt.__getitem__,
            "state": self._lens.state,
        }
        sort = self._view.sort
        if sort in columns:
            return columns[sort]
        if sort in NAME_FIELDS:
            text = {p: name_text(table, p, sort) for p, name in enumerate(table.names.names) if name is not None}
            return lambda slot: text[table.name[slot]]
        worker = {n: worker_text(table, n, sort) for n in range(-1, len(table.names.workers))}
        return lambda slot: worker[table.worker[slot]]


# -- objects

Gather = Callable[[Callable[[Page], None]], None]
"""Ask all owners for their objects; the page comes later."""


class ObjectTable:
    """A `TableView` of objects: as their owners have them, or what is known of a moment or window of the past."""

    def __init__(self, tables: Tables, view: TableView, fields: tuple[str, ...], gather: Gather) -> None:
        self._stores = tables.stores
        self._past = PastObjects(tables)
        self._view = view
        self._fields = fields
        self._gather = gather
        self._gathered: Page | None = None
        self._asked_at = float("-inf")
        self._waits = False
        self._stamp = 0
        self._page = TablePage([], 0)
        self.cost = 0
        compile_filters(view.filters, fields)
        check_sort(view.sort, fields)

    def stamp(self) -> object:
        """Objects are asked for again and again: nobody tells of their changes."""
        if self._view.at is not None:
            return None
        self._stamp += 1
        return self._stamp

    def whole(self) -> TablePage:
        return self._page

    def refresh(self, wall: float) -> TablePage | None:
        if self._view.at is not None:
            return self._then(self._view.at / 1000)
        if not self._waits and wall - self._asked_at >= OBJECTS_PAUSE_S:
            self._waits, self._asked_at = True, wall
            self._gather(self._take)
        gathered, self._gathered = self._gathered, None
        if gathered is None:
            self.cost = 0
            return None
        self.cost = len(gathered.rows)
        rows, untimed = gathered.rows, 0
        if self._view.between is not None:
            rows, untimed = self._between(rows, *self._view.between)
        return self._show(rows, gathered.dropped, gathered.more.get("unanswered", 0), untimed)

    def _then(self, at_s: float) -> TablePage | None:
        rows = self._past.at(at_s)
        untimed = 0
        if self._view.between is not None:
            timed = [row for row in rows if row["created_ms"]]
            start, end = self._view.between
            untimed = len(rows) - len(timed)
            rows = [row for row in timed if start <= row["created_ms"] < end]
        self.cost = len(rows)
        return self._show(rows, self._stores.not_kept(at_s), 0, untimed)

    def _between(self, rows: list[Row], start: float, end: float) -> tuple[list[Row], int]:
        """What was made then: of what is there its owner's row, of what is gone what is known of it."""
        untimed = sum(1 for row in rows if not row["created_ms"])
        there = [row for row in rows if row["created_ms"] and start <= row["created_ms"] < end]
        known = {row["object_id"] for row in there}
        made = self._past.made(start / 1000, end / 1000)
        self.cost += len(made)
        return there + [row for row in made if row["object_id"] not in known], untimed

    def _show(self, rows: list[Row], dropped: int, unanswered: int, untimed: int) -> TablePage | None:
        page = page_of(rows, self._fields, self._view, "object_size")
        page = TablePage(page.rows, page.total, dropped, unanswered, untimed)
        before, self._page = self._page, page
        return None if page == before else page

    def _take(self, page: Page) -> None:
        self._waits, self._gathered = False, page
