"""The graph of single tasks: those around one, some steps of data and of parentage away.

Rules
-----
* It begins with one or several tasks, with the newest of a function or a cell (a node of the aggregated graph), or with
  the newest of all.
* Each step goes to what the tasks so far were given and who submitted them, and to who uses their results and whom
  they submitted. The nearest are shown first; what is beyond the limit is counted as far as it was seen.
* Attempts: the last one of each task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nlargest
from typing import Final

from raynb.runtime.core.event_flows import cell_parts
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.graph_parts import GraphKeeper, longest_path
from raynb.runtime.core.graph_view import node_id
from raynb.runtime.core.live_view import Tables, ms
from raynb.runtime.core.task_moment import NOT_YET, Lens
from raynb.runtime.core.waiting_reason import waiting_reason
from raynb.runtime.messages.events import FINISHED, RUNNING, TASK_STATES
from raynb.runtime.messages.ids import OBJECT_ID_BYTES, PUT_INDEX_BASE, TASK_ID_BYTES, index_of
from raynb.runtime.messages.screen import GraphEdge, GraphNode, GraphState, GraphView

NODES_MAX: Final = 1000
DEPTH_MAX: Final = 20
START_SHARE: Final = 4
"""Of a function's newest tasks a part of the limit is begun with: there is to be room for what is around them."""
ERROR_CHARS_MAX: Final = 500


class TaskGraph:
    """A `GraphView` by task."""

    def __init__(self, tables: Tables, view: GraphView) -> None:
        self._tables = tables
        self._table: EventTable = tables.events
        self._focus = view.focus
        self._depth = max(0, min(view.depth, DEPTH_MAX))
        self._limit = max(1, min(view.limit, NODES_MAX))
        self._lens = Lens(tables.events, view.at, view.between)
        self._state = self._lens.state
        self._keeper = GraphKeeper()
        self.cost = 0

    def stamp(self) -> object:
        return self._table.changes if self._lens.at_s is None else None

    def whole(self) -> GraphState:
        return self._keeper.whole()

    def refresh(self, wall: float) -> GraphState | None:
        self.cost = 0
        slots, hidden = self._around(self._begin())
        nodes = {self._table.ids[slot]: self._node(slot) for slot in slots}
        edges: list[GraphEdge] = []
        puts: dict[bytes, GraphNode] = {}
        for slot in slots:
            task_id = self._table.ids[slot]
            for oid in _objects(self._table.dependencies.get(slot, b"")):
                producer = oid[:TASK_ID_BYTES]
                if index_of(oid) >= PUT_INDEX_BASE:
                    puts[oid] = GraphNode(oid.hex(), "put", "put", [0] * len(TASK_STATES))
                    edges.append(GraphEdge(oid.hex(), task_id.hex(), "data", 1))
                elif producer in nodes:
                    edges.append(GraphEdge(producer.hex(), task_id.hex(), "data", 1))
            parent = self._table.parents[slot]
            if parent in nodes:
                edges.append(GraphEdge(parent.hex(), task_id.hex(), "child", 1))
        shown = [*nodes.values(), *puts.values()]
        durations = {node.id: node.duration_ms for node in shown}
        critical = longest_path(durations, edges)
        names = self._table.names
        return self._keeper.show(
            GraphState(shown, _unique(edges), names.submitted, self._table.dropped, hidden, critical)
        )

    # -- which tasks

    def _begin(self) -> list[int]:
        table = self._table
        if not self._focus:
            return self._newest(table.slots(), self._limit)
        try:
            task_ids = [bytes.fromhex(each) for each in self._focus.split(",")]
        except ValueError:
            task_ids = []
        if task_ids:
            found = (table.index.get(task_id) for task_id in task_ids)
            return [slot for slot in found if slot is not None][: self._limit]
        groups = table.flows.groups
        wanted = {
            position
            for position, name in enumerate(table.names.names)
            if name and any(node_id(groups[number]) == self._focus for number in table.flows.groups_of(name))
        }
        those = (slot for slot in table.slots() if table.name[slot] in wanted)
        return self._newest(those, max(1, self._limit // START_SHARE))

    def _newest(self, slots: Iterable[int], limit: int) -> list[int]:
        self.cost += len(self._table)
        current = self._table.index
        ids = self._table.ids
        there = (slot for slot in slots if current.get(ids[slot]) == slot and self._state(slot) != NOT_YET)
        return nlargest(limit, there, key=self._table.submitted.__getitem__)

    def _around(self, begin: list[int]) -> tuple[list[int], int]:
        """The rows to show, the nearest first, and how many more were seen."""
        found = dict.fromkeys(begin)
        frontier, hidden = list(found), 0
        for _ in range(self._depth if self._focus else 0):
            if not frontier:
                break
            reached: dict[int, None] = {}
            for slot in (*self._before(frontier), *self._after(frontier)):
                if slot not in found and self._state(slot) != NOT_YET:
                    reached[slot] = None
            room = self._limit - len(found)
            hidden += max(0, len(reached) - room)
            frontier = list(reached)[: max(0, room)]
            found.update(dict.fromkeys(frontier))
        return list(found)[: self._limit], hidden

    def _before(self, frontier: list[int]) -> Iterator[int]:
        table = self._table
        for slot in frontier:
            for oid in _objects(table.dependencies.get(slot, b"")):
                before = table.index.get(oid[:TASK_ID_BYTES])
                if before is not None and index_of(oid) < PUT_INDEX_BASE:
                    yield before
            parent = table.index.get(table.parents[slot])
            if parent is not None:
                yield parent

    def _after(self, frontier: list[int]) -> Iterator[int]:
        table = self._table
        wanted = {table.ids[slot] for slot in frontier}
        self.cost += len(table)
        for slot, parent in enumerate(table.parents):
            if parent in wanted and table.index.get(table.ids[slot]) == slot:
                yield slot
        for slot, oids in table.dependencies.items():
            for oid in _objects(oids):
                if oid[:TASK_ID_BYTES] in wanted and table.index.get(table.ids[slot]) == slot:
                    yield slot
                    break

    # -- what is said of each

    def _node(self, slot: int) -> GraphNode:
        table = self._table
        name = table.names.name(table.name[slot])
        state = self._state(slot)
        counts = [0] * len(TASK_STATES)
        counts[state] = 1
        started, ended = table.started[slot], table.ended[slot]
        over = state >= FINISHED
        kind, text = table.errors.get(slot, ("", "")) if over else ("", "")
        return GraphNode(
            id=table.ids[slot].hex(),
            label=name.definition.name if name.definition else "?",
            kind="actor" if name.kind in (1, 2) else "task",
            counts=counts,
            site=name.call_site,
            cell=cell_parts(name.cell)[2],
            running_since=ms(started) if state == RUNNING else 0.0,
            duration_ms=round((ended - started) * 1000, 3) if over and started else 0.0,
            why=waiting_reason(self._tables, slot) if state < RUNNING and self._lens.at_s is None else "",
            error=f"{kind}: {text[-ERROR_CHARS_MAX:]}" if kind else "",
            notebook=self._tables.jobs.notebook_of(name.job) if name.cell else "",
        )


def _objects(joined: bytes) -> list[bytes]:
    return [joined[at : at + OBJECT_ID_BYTES] for at in range(0, len(joined), OBJECT_ID_BYTES)]


def _unique(edges: list[GraphEdge]) -> list[GraphEdge]:
    """A task may be given the same result twice: that is one edge, counted twice."""
    counts: dict[tuple[str, str, str], int] = {}
    for edge in edges:
        key = (edge.source, edge.target, edge.kind)
        counts[key] = counts.get(key, 0) + edge.count
    return [GraphEdge(*key, count) for key, count in counts.items()]
