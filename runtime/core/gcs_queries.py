"""Questions to the GCS: which table answers, and the gathering of what only the clients know.

Rules
-----
* A query is answered from the tables at once, but for ``objects``: those are in their owners' tables. Every living
  client is asked (`ReportObjects`), and what has come within the query's ``patience_s``, or `OBJECTS_PATIENCE_S`, is
  the answer; ``unanswered`` counts the clients that were silent (a held GIL, say).
* At most `ROWS_MAX` rows go into one answer.
* Nothing here changes a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from raynb.runtime.core.actor_calls import actor_calls, awaited_actors
from raynb.runtime.core.argument_rows import argument_rows
from raynb.runtime.core.effects import Send
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_actors import ActorTable
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.core.gcs_requests import Requests, refusal
from raynb.runtime.core.group_view import GROUP_FIELDS, group_row
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.notebook_names import NotebookNames
from raynb.runtime.core.past_objects import with_places
from raynb.runtime.core.placement_groups import PlacementGroups
from raynb.runtime.core.run_history import RunHistory
from raynb.runtime.core.store_history import StoreHistory
from raynb.runtime.core.task_views import OBJECT_FIELDS, object_row, summary_page, task_page
from raynb.runtime.core.timeline import timeline_page
from raynb.runtime.core.views import (
    ACTOR_BASE,
    ACTOR_FIELDS,
    ACTOR_MORE,
    JOB_FIELDS,
    JOB_MORE,
    NAMED_FIELDS,
    NO_CALLS,
    NODE_FIELDS,
    NODE_MORE,
    STORE_FIELDS,
    WORKER_BASE,
    WORKER_FIELDS,
    WORKER_MORE,
    Page,
    Row,
    actor_row,
    job_row,
    named_rows,
    node_row,
    page,
    resources_row,
    store_row,
    strip,
    worker_rows,
)
from raynb.runtime.messages.events import ObjectRow, ObjectRows, ReportObjects
from raynb.runtime.messages.gcs import Query, Reply

OBJECTS_PATIENCE_S: Final = 2.0
OBJECTS_ASKED_MAX: Final = 10_000
ROWS_MAX: Final = 200_000
GATHERINGS_MAX: Final = 64
HELD: Final = ("objects", "references")
"""Tables whose rows every process has of its own."""


class Tables(Protocol):
    """What is asked about."""

    members: Membership
    jobs: JobTable
    actors: ActorTable
    groups: PlacementGroups
    events: EventTable
    names: NotebookNames
    stores: StoreHistory
    history: RunHistory


@dataclass(slots=True)
class _Gathering:
    """A query for objects under way."""

    sender: str
    """Empty: `done` is told instead."""
    query: Query
    deadline: float
    waiting: dict[str, None]
    rows: list[Row] = field(default_factory=list)
    total: int = 0
    done: Callable[[Page], None] | None = None


class Queries:
    """Answers `Query`. See the module's rules."""

    def __init__(self, tables: Tables, requests: Requests) -> None:
        self._tables = tables
        self._requests = requests
        self._gatherings: dict[int, _Gathering] = {}
        self._last = 0

    def __repr__(self) -> str:
        return f"<Queries gathering={len(self._gatherings)}>"

    def ask(self, sender: str, query: Query, now: float, wall: float) -> Effects:
        """Answer, or begin to gather the answer."""
        try:
            if query.table in HELD:
                # An unknown field is told before anybody is asked.
                page([], self.object_fields(), query.filters, 0)
                return self._gather(sender, query, now)
            data = self._page(query, wall).encode()
        except ValueError as error:
            reply = refusal(query.request, "ValueError", f"{query.table}: {error}")
            return [self._requests.answer(sender, reply, keep=False)]
        return [self._requests.answer(sender, Reply(query.request, data), keep=False)]

    def _page(self, query: Query, wall: float) -> Page:
        tables, filters = self._tables, query.filters
        limit = min(query.limit, ROWS_MAX) if query.limit >= 0 else ROWS_MAX
        match query.table:
            case "tasks":
                return task_page(tables.events, filters, limit, query.id, query.detail)
            case "task_summary":
                return summary_page(tables.events, filters, limit, query.detail)
            case "timeline":
                return timeline_page(tables.events, query.after, limit, wall, tables.stores, tables.history)
            case "resources":
                return Page([resources_row(tables.members)], 1)
        rows, fields, base, key = self._table(query.table)
        found = page(rows, fields, filters, limit, (key, query.id))
        if not query.detail:
            found.rows = strip(found.rows, base)
        return found

    def _table(self, table: str) -> tuple[list[Row], tuple[str, ...], tuple[str, ...], str]:
        """Rows, their fields, those given without detail, the field that an id is of."""
        tables = self._tables
        nodes = tables.members.nodes.values()
        match table:
            case "nodes":
                rows = [node_row(node) for node in nodes]
                return rows, (*NODE_FIELDS, *NODE_MORE), NODE_FIELDS, "node_id"
            case "store":
                rows = [store_row(node) for node in nodes if node.alive]
                return rows, STORE_FIELDS, STORE_FIELDS, "node_id"
            case "workers":
                rows = list(worker_rows(tables.members, tables.jobs.jobs.values()))
                return rows, (*WORKER_FIELDS, *WORKER_MORE), WORKER_BASE, "worker_id"
            case "actors":
                calls = actor_calls(tables.events.names)
                actors = tables.actors.index.actors
                rows = [actor_row(actor, calls.get(actor.id, NO_CALLS)) for actor in actors.values()]
                rows += awaited_actors(tables.events, actors)
                return rows, (*ACTOR_FIELDS, *ACTOR_MORE), ACTOR_BASE, "actor_id"
            case "named_actors":
                rows = list(named_rows(tables.actors.index))
                return rows, NAMED_FIELDS, NAMED_FIELDS, "actor_id"
            case "placement_groups":
                views = tables.members.views()
                rows = [group_row(group, views) for group in tables.groups.groups.values()]
                return rows, GROUP_FIELDS, GROUP_FIELDS, "placement_group_id"
            case "jobs":
                rows = [job_row(job) for job in tables.jobs.jobs.values()]
                return rows, (*JOB_FIELDS, *JOB_MORE), JOB_FIELDS, "job_id"
        raise ValueError("there is no such table")

    # -- objects

    @staticmethod
    def object_fields() -> tuple[str, ...]:
        more = (
            "state",
            "value_type",
            "value_shape",
            "value_dtype",
            "held_by",
            "used_by",
            "local_references",
            "pending_tasks",
            "borrowers",
            "failed_tasks",
            "owner",
            "on_disk",
            "node_id",
            "created_ms",
        )
        return (*OBJECT_FIELDS, *more)

    def table_rows(self, table: str) -> tuple[list[Row], tuple[str, ...]]:
        """All rows of one of the short tables, with detail, and their fields."""
        rows, fields, _, _ = self._table(table)
        return rows, fields

    def gather_objects(self, done: Callable[[Page], None], now: float) -> Effects:
        """Ask all owners for their largest objects; ``done`` is told what has come. Nothing, where too much is asked
        at once."""
        try:
            return self._gather("", Query(0, "objects", limit=-1, detail=True), now, done)
        except ValueError:
            done(Page([], 0, more={"unanswered": len(self._tables.members.processes())}))
            return []

    def _gather(self, sender: str, query: Query, now: float, done: Callable[[Page], None] | None = None) -> Effects:
        if len(self._gatherings) >= GATHERINGS_MAX:
            raise ValueError("too many questions about objects at once: ask again")
        self._last += 1
        asked = self._tables.members.processes()
        entry = _Gathering(
            sender, query, now + (query.patience_s or OBJECTS_PATIENCE_S), dict.fromkeys(asked), done=done
        )
        self._gatherings[self._last] = entry
        everything = query.filters or query.id or query.limit < 0
        limit = OBJECTS_ASKED_MAX if everything else min(query.limit, OBJECTS_ASKED_MAX)
        only = bytes.fromhex(query.id)
        borrowed = query.table == "references"
        effects: Effects = [Send(client, ReportObjects(self._last, limit, only, borrowed)) for client in asked]
        return effects or self._finish(self._last)

    def report(self, sender: str, message: ObjectRows) -> Effects:
        """A client's part."""
        entry = self._gatherings.get(message.request)
        if entry is None or sender not in entry.waiting:
            return []
        del entry.waiting[sender]
        driver = next((job for job in self._tables.jobs.jobs.values() if job.driver == sender), None)
        kind = "DRIVER" if driver is not None else "WORKER"
        pid = message.pid or (driver.pid if driver is not None else self._tables.members.pid_of(sender))
        ip = self._tables.members.ip_of(sender)
        events, names = self._tables.events, self._tables.names.of
        is_actor = sender in self._tables.actors.index.by_worker
        how = entry.query.table == "references"
        for row in message.rows:
            named, users = [] if row.owner else names(row.oid), self._users(row)
            entry.rows.append(
                object_row(row, events, pid, kind, ip, named, users, sender, is_actor=is_actor, says_how=how)
            )
        entry.total += message.total
        found = bool(entry.query.table == "objects" and entry.query.id and message.rows)  # an object has one owner
        return [] if entry.waiting and not found else self._finish(message.request)

    def _ip_of_node(self, node_id: bytes) -> str:
        node = self._tables.members.nodes.get(node_id)
        return node.registration.ip if node is not None else ""

    def _users(self, row: ObjectRow) -> list[str]:
        """Actors and tasks that hold an object, beside the notebook's names of it."""
        actors = map(self._tables.actors.index.by_worker.get, row.borrowed_by)
        named = [f"actor {actor.spec.name or actor.spec.class_name}" for actor in actors if actor is not None]
        others = row.borrowers - len(named)
        return [
            *named,
            *row.used_by,
            *([f"{others} other process{'es' * (others > 1)}"] if others > 0 else []),
        ]

    def process_died(self, address: str) -> Effects:
        """Nothing more comes from there, and nothing has to go there."""
        effects: Effects = []
        for number, entry in list(self._gatherings.items()):
            entry.waiting.pop(address, None)
            if entry.sender == address:
                del self._gatherings[number]
            elif not entry.waiting:
                effects += self._finish(number)
        return effects

    @property
    def waiting(self) -> bool:
        """Whether an answer is being gathered."""
        return bool(self._gatherings)

    def tick(self, now: float) -> Effects:
        """Give what has come."""
        effects: Effects = []
        for number in [n for n, entry in self._gatherings.items() if entry.deadline <= now]:
            effects += self._finish(number)
        return effects

    def _finish(self, number: int) -> Effects:
        entry = self._gatherings.pop(number)
        query = entry.query
        entry.rows.sort(key=lambda row: (-row["object_size"], row["object_id"]))
        limit = query.limit if query.limit >= 0 else ROWS_MAX
        fields = self.object_fields()
        if query.table == "references":
            read = argument_rows(entry.rows, self._tables.events, self._ip_of_node)
            entry.rows += read
            entry.total += len(read)
        with_places(entry.rows, self._tables)
        found = page(entry.rows, fields, query.filters, limit, ("object_id", query.id))
        unsent = entry.total - len(entry.rows)
        if query.filters or query.id:
            found.dropped = unsent
        else:
            found.total += unsent
        found.more = {"unanswered": len(entry.waiting)}
        if not query.detail:
            found.rows = strip(found.rows, OBJECT_FIELDS)
        if entry.done is not None:
            entry.done(found)
            return []
        reply = Reply(query.request, found.encode())
        return [self._requests.answer(entry.sender, reply, keep=False)]
