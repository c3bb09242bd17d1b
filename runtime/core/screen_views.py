"""Which view answers what a screen asks for."""

from __future__ import annotations

from collections.abc import Callable

from raynb.runtime.core.gcs_queries import Queries
from raynb.runtime.core.graph_view import GroupGraph
from raynb.runtime.core.live_view import LiveView, Tables
from raynb.runtime.core.summary import sums
from raynb.runtime.core.table_view import Gather, ObjectTable, ShortTable, TaskTable
from raynb.runtime.core.task_graph import TaskGraph
from raynb.runtime.core.task_views import state_counts
from raynb.runtime.core.views import node_row, resources_row
from raynb.runtime.messages import screen
from raynb.runtime.messages.events import TASK_STATES


class Summary:
    """A `SummaryView`."""

    def __init__(self, tables: Tables, changes: Callable[[], int]) -> None:
        self._tables = tables
        self._changes = changes
        self._state: screen.SummaryState | None = None
        self.cost = 0

    def stamp(self) -> object:
        return self._changes()

    def whole(self) -> screen.SummaryState:
        if self._state is None:
            self._state = self._now()
        return self._state

    def refresh(self, wall: float) -> screen.SummaryState | None:
        before, self._state = self._state, self._now()
        return None if self._state == before else self._state

    def _now(self) -> screen.SummaryState:
        tables = self._tables
        totals = tables.events.names.totals()
        actors = tables.actors.index.actors.values()
        self.cost = len(tables.events.names.names) + len(actors) + len(tables.jobs.jobs)
        found = sums(
            map(node_row, tables.members.nodes.values()),
            resources_row(tables.members),
            (dict(zip(TASK_STATES, state_counts(part), strict=True)) for part in totals),
            (actor.state for actor in actors),
            (job.status for job in tables.jobs.jobs.values()),
        )
        return screen.SummaryState(
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
            return ObjectTable(view, queries.object_fields(), gather)
        case screen.TableView():
            return ShortTable(queries, view, changes)
        case screen.SummaryView():
            return Summary(tables, changes)
    raise ValueError("there is no such view")
