"""Which view answers what a screen asks for."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from raynb.runtime.core.cells_view import Cells
from raynb.runtime.core.gcs_queries import Queries
from raynb.runtime.core.graph_view import GroupGraph
from raynb.runtime.core.live_view import LiveView, Tables
from raynb.runtime.core.summary import sums
from raynb.runtime.core.table_view import Gather, ObjectTable, ShortTable, TaskTable
from raynb.runtime.core.task_graph import TaskGraph
from raynb.runtime.core.task_moment import NOT_YET, state_at
from raynb.runtime.core.task_views import state_counts
from raynb.runtime.core.timeline_view import Timeline
from raynb.runtime.core.views import node_row, resources_row
from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FAILED, FINISHED, RUNNING, TASK_STATES


class Summary:
    """A `SummaryView`."""

    def __init__(self, tables: Tables, view: screen.SummaryView, changes: Callable[[], int]) -> None:
        self._tables = tables
        self._changes = changes
        self._at_s = None if view.at is None else view.at / 1000
        self._state: screen.SummaryState | None = None
        self.cost = 0

    def stamp(self) -> object:
        return self._changes() if self._at_s is None else None

    def whole(self) -> screen.SummaryState:
        assert self._state is not None, "it was looked at"
        return self._state

    def refresh(self, wall: float) -> screen.SummaryState | None:
        before = self._state
        self._state, self.cost = summary_now(self._tables) if self._at_s is None else self._then(self._at_s)
        return None if self._state == before else self._state

    def _then(self, at_s: float) -> tuple[screen.SummaryState, int]:
        """Samples know what they know to a moment; where all tasks have rows, those tell of tasks more exactly."""
        found = self._tables.history.at(at_s)
        table = self._tables.events
        if found is None:
            now, cost = summary_now(self._tables)
            return screen.SummaryState(0, 0.0, 0.0, 0.0, 0, now.memory_total_bytes, 0, 0, 0, 0, 0, 0, 0, 0, 0), cost
        if table.dropped:
            return found, 1
        counts = [0] * len(TASK_STATES)
        for slot in table.slots():
            state = state_at(table, slot, at_s)
            if state != NOT_YET:
                counts[state] += 1
        tasks = {
            "tasks_waiting": sum(counts[:RUNNING]),
            "tasks_running": counts[RUNNING],
            "tasks_finished": counts[FINISHED],
            "tasks_failed": counts[FAILED],
        }
        return msgspec.structs.replace(found, **tasks), len(table)


def summary_now(tables: Tables) -> tuple[screen.SummaryState, int]:
    """The cluster in a few numbers, and how many rows were looked at for them."""
    totals = tables.events.names.totals()
    actors = tables.actors.index.actors.values()
    cost = len(tables.events.names.names) + len(actors) + len(tables.jobs.jobs)
    found = sums(
        map(node_row, tables.members.nodes.values()),
        resources_row(tables.members),
        (dict(zip(TASK_STATES, state_counts(part), strict=True)) for part in totals),
        (actor.state for actor in actors),
        (job.status for job in tables.jobs.jobs.values()),
    )
    state = screen.SummaryState(
        nodes=found.nodes,
        cpus_used=found.cpus_used,
        cpus_total=found.cpus_total,
        cpu_percent=found.cpu_percent,
        memory_used_bytes=found.memory_used_bytes,
        memory_total_bytes=found.memory_total_bytes,
        store_used_bytes=found.store_used_bytes,
        store_capacity_bytes=found.store_capacity_bytes,
        objects=found.objects,
        tasks_waiting=found.tasks_waiting,
        tasks_running=found.tasks.get("RUNNING", 0),
        tasks_finished=found.tasks.get("FINISHED", 0),
        tasks_failed=found.tasks.get("FAILED", 0),
        actors_alive=found.actors.get("ALIVE", 0),
        drivers=found.drivers,
    )
    return state, cost


def make_view(
    view: screen.View, tables: Tables, queries: Queries, changes: Callable[[], int], gather: Gather
) -> LiveView:
    """The view that is asked for.

    Parameters
    ----------
    changes
        A number that grows whenever any table may have changed.

    Raises
    ------
    ValueError
        It can't be served; the words say why.
    """
    match view:
        case screen.GraphView(by="task"):
            return TaskGraph(tables, view)
        case screen.GraphView():
            return GroupGraph(tables, view)
        case screen.TableView(table="tasks"):
            return TaskTable(tables, view)
        case screen.TableView(table="objects"):
            return ObjectTable(tables, view, queries.object_fields(), gather)
        case screen.TableView():
            return ShortTable(tables, queries, view, changes)
        case screen.SummaryView():
            return Summary(tables, view, changes)
        case screen.CellsView():
            return Cells(tables, view)
        case screen.TimelineView():
            return Timeline(tables, view)
