"""The graph of functions, or of cells: a node for all tasks of one, with exact counts.

Rules
-----
* Counts are those of the state API. Edges are counted as the rows come (`event_flows`).
* The nodes with the most tasks are shown; of the rest it is said how many there are.
* At a past moment, or in a window of time, the counts are those of the rows that are kept; edges are as they are now,
  between what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raynb.runtime.core.event_flows import EDGE_KINDS, Group, cell_parts
from raynb.runtime.core.event_names import Name, Totals
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.graph_parts import GraphKeeper, longest_path
from raynb.runtime.core.live_view import Tables, ms
from raynb.runtime.core.task_moment import Lens
from raynb.runtime.core.task_views import state_counts
from raynb.runtime.messages.events import RUNNING, TASK_KINDS, TASK_STATES
from raynb.runtime.messages.screen import GraphEdge, GraphNode, GraphState, GraphView

NODES_MAX: Final = 1000
RUNNING_ROWS_MAX: Final = 10_000
OUTSIDE: Final = "outside cells"


@dataclass(slots=True)
class _Sum:
    """What a node is made of."""

    totals: Totals
    run: tuple[int, int, str] = (0, 0, "")
    job: bytes = b""
    """Of the newest run."""
    running_since: float = 0.0


class GroupGraph:
    """A `GraphView` by function or by cell."""

    def __init__(self, tables: Tables, view: GraphView) -> None:
        self._table: EventTable = tables.events
        self._jobs = tables.jobs
        self._level = 1 if view.by == "cell" else 0
        self._limit = max(1, min(view.limit, NODES_MAX))
        self._lens = Lens(tables.events, view.at, view.between)
        self._keeper = GraphKeeper()
        self.cost = 0

    def stamp(self) -> object:
        return self._table.changes if self._lens.at_s is None else None

    def whole(self) -> GraphState:
        return self._keeper.whole()

    def refresh(self, wall: float) -> GraphState | None:
        table = self._table
        flows = table.flows
        sums = self._sums()
        known = {number: sum_ for number, sum_ in sums.items() if any(sum_.totals.states)}
        shown = sorted(known, key=lambda number: -sum(known[number].totals.states))[: self._limit]
        nodes = {number: self._node(flows.groups[number], known[number]) for number in shown}
        edges: list[GraphEdge] = []
        for (source, target, kind), count in flows.edges.items():
            if target in nodes:
                if source not in nodes and flows.groups[source].by == "put":
                    nodes[source] = GraphNode("put", "put", "put", [0] * len(TASK_STATES))
                if source in nodes:
                    edges.append(GraphEdge(nodes[source].id, nodes[target].id, EDGE_KINDS[kind], count))
        durations = {node.id: node.duration_ms for node in nodes.values()}
        return self._keeper.show(
            GraphState(
                nodes=list(nodes.values()),
                edges=edges,
                tasks=sum(sum(sum_.totals.states) for sum_ in known.values()),
                dropped=table.dropped,
                hidden=len(known) - len(shown),
                critical=longest_path(durations, edges),
            )
        )

    def _sums(self) -> dict[int, _Sum]:
        """By number of the group; in the end ``totals.states`` are exact."""
        table, sums, self.cost = self._table, dict[int, _Sum](), 0
        for part in table.names.parts():
            self.cost += 1
            number = table.flows.groups_of(part)[self._level]
            found = sums.get(number)
            if found is None:
                found = sums[number] = _Sum(Totals(part.function, part.kind))
            found.totals.add(part)
            if part.cell and (run := cell_parts(part.cell)) >= found.run:
                found.run, found.job = run, part.job
        if not self._lens.plain:
            self._count_rows(sums)
            return sums
        for found in sums.values():
            found.totals.states = state_counts(found.totals)
        self._find_running(sums)
        return sums

    def _find_running(self, sums: dict[int, _Sum]) -> None:
        table = self._table
        slot, left = table.state.find(RUNNING), RUNNING_ROWS_MAX
        while slot >= 0 and left:
            if table.ids[slot]:
                self._began(sums[self._number(slot)], table.started[slot])
            left -= 1
            slot = table.state.find(RUNNING, slot + 1)
        self.cost += RUNNING_ROWS_MAX - left

    @staticmethod
    def _began(found: _Sum, started: float) -> None:
        if started and (not found.running_since or started < found.running_since):
            found.running_since = started

    def _number(self, slot: int) -> int:
        name: Name = self._table.names.name(self._table.name[slot])
        return self._table.flows.groups_of(name)[self._level]

    def _count_rows(self, sums: dict[int, _Sum]) -> None:
        """Count what the lens shows."""
        table, state_of = self._table, self._lens.state
        for found in sums.values():
            found.totals.states = [0] * len(TASK_STATES)
        for slot in table.slots():
            state = state_of(slot)
            if state >= 0:
                found = sums[self._number(slot)]
                found.totals.states[state] += 1
                if state == RUNNING:
                    self._began(found, table.started[slot])
        self.cost += len(table)

    def _node(self, group: Group, found: _Sum) -> GraphNode:
        totals = found.totals
        _, count, cell = found.run
        label = group.key
        if group.by == "cell":
            label = f"In[{count}]" if count else group.key or OUTSIDE
        elif group.by == "others":
            label = "others"
        return GraphNode(
            id=node_id(group),
            label=label,
            kind="cell" if group.by == "cell" else "actor" if group.kind in (1, 2) else "function",
            counts=totals.states,
            site=totals.call_site,
            cell=cell,
            running_since=ms(found.running_since) if found.running_since else 0.0,
            duration_ms=round(totals.spent_s / totals.timed * 1000, 3) if totals.timed else 0.0,
            notebook=self._jobs.notebook_of(found.job) if cell else "",
        )


def node_id(group: Group) -> str:
    """The same in each life of the GCS."""
    if group.by == "cell":
        return f"cell:{group.job.hex()}:{group.key}"
    return f"{TASK_KINDS[group.kind]}:{group.key}" if group.by == "function" else group.by
