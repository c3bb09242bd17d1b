"""What ran when, in lanes: one for each worker and each actor, and those of the nodes' stores (`store_lanes`).

Rules
-----
* A live view looks at each row once, when it has ended; what runs is looked at each time. Any other look goes through
  the whole table.
* A window whose end has passed is told once: nothing in it changes, and neither does what comes with it.
* Spans are joined as `lane_spans` says: 100,000 tasks are a few thousand spans, and none is left out.
* An actor's calls stand in its own lane, whichever process it had.
* Of more than `LANES_MAX` lanes the tasks of the later ones are counted as left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from raynb.runtime.core.event_names import NO_WORKER
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_actor_life import DEAD
from raynb.runtime.core.lane_spans import LaneSpans, Span
from raynb.runtime.core.live_view import Tables, ms
from raynb.runtime.core.store_lanes import StoreLanes
from raynb.runtime.messages.events import FINISHED, RUNNING
from raynb.runtime.messages.screen import Lane, Spans, TimelineState, TimelineView

LANES_MAX: Final = 1000
SPANS_MAX: Final = 20_000
BUCKETS_MAX: Final = 10_000
RUNNING_ROWS_MAX: Final = 10_000
LATE_S: Final = 5.0
"""So long after a window's end there may be news of it."""
SPANS_A_ROW: Final = 2
"""Showing so many spans costs about what looking at a row does."""


class Timeline:
    """A `TimelineView`."""

    def __init__(self, tables: Tables, view: TimelineView) -> None:
        if view.end and view.end <= view.start:
            raise ValueError("a window of time ends after it starts")
        self._tables = tables
        self._table: EventTable = tables.events
        self._start_s = view.start / 1000
        self._end_s = view.end / 1000
        self._names = frozenset(view.names)
        self._buckets = max(1, min(view.buckets, BUCKETS_MAX))
        self._spans_max = max(1, min(view.spans_max, SPANS_MAX))
        self._spans: LaneSpans | None = None
        self._ended_seen = 0
        self._lanes: dict[tuple[str, bytes], int] = {}
        self._labels: dict[str, int] = {}
        self._left_out = 0
        self._wall = 0.0
        self._state: TimelineState | None = None
        self._store = StoreLanes(tables)
        self.cost = 0

    @property
    def _live(self) -> bool:
        return not self._end_s or self._wall < self._end_s + LATE_S

    def stamp(self) -> object:
        stores = self._tables.stores
        return (self._table.changes, stores.ended_ever, stores.begun_ever) if self._live else None

    def whole(self) -> TimelineState:
        assert self._state is not None, "it was looked at"
        return self._state

    def refresh(self, wall: float) -> TimelineState | None:
        if self._state is not None and not self._live:
            return None  # all of it is told
        self._wall = wall
        first, last = self._ends(wall)
        start = self._start_s or first
        end = self._end_s or max(last, start)
        self.cost = 0
        self._look(start, max(end, wall) if not self._end_s else end)
        state = self._show(start, end, first, last, wall)
        if self._state is not None and state == self._state:
            return None
        self._state = state
        return state

    def _ends(self, wall: float) -> tuple[float, float]:
        """Of the recorded run."""
        first = last = 0.0
        for part in self._table.names.parts():
            if part.began and (not first or part.began < first):
                first = part.began
            last = max(last, part.ended)
        stores = self._tables.stores
        if stores.began:
            first = min(first or stores.began, stores.began)
        first, last = first or wall, max(last, stores.last)
        return first, max(first, wall if self._table.names.unfinished or stores.open else last)

    # -- which spans

    def _look(self, start: float, end: float) -> None:
        """Take in the rows that have ended since the last look."""
        table = self._table
        new = table.ended_ever - self._ended_seen
        rows: Iterable[int]
        until, since = self._end_s or float("inf"), self._start_s
        looked = self._store.look(start, end, since, until, self._buckets, anew=not self._live)
        if self._spans is None or new > table.ended_kept or not self._live:
            self._spans = LaneSpans(start, max(1e-6, (end - start) / self._buckets), self._spans_max)
            self._lanes.clear()
            self._left_out = 0
            rows, self.cost = table.slots(), len(table)
        else:
            rows, self.cost = table.ended_last(new), new
        self.cost += looked
        self._ended_seen = table.ended_ever
        states, starts, ends = table.state, table.started, table.ended
        for slot in rows:
            began = starts[slot]
            if began and states[slot] >= FINISHED and began < until and ends[slot] >= since:
                span = self._span(slot, began, max(began, ends[slot]))
                if span is not None:
                    self._spans.add(span)
        while self._spans.step * self._buckets < end - start:
            self._spans.widen()

    def _running(self, wall: float) -> list[Span]:
        table, found = self._table, list[Span]()
        slot, left = table.state.find(RUNNING), RUNNING_ROWS_MAX
        until = self._end_s or float("inf")
        while slot >= 0 and left:
            began = table.started[slot]
            if table.ids[slot] and began and began < until:
                span = self._span(slot, began, max(began, wall))
                if span is not None:
                    found.append(span)
            left -= 1
            slot = table.state.find(RUNNING, slot + 1)
        self.cost += RUNNING_ROWS_MAX - left
        return found

    def _span(self, slot: int, start: float, end: float) -> Span | None:
        """None: it is not asked for, or has no lane."""
        table = self._table
        name = table.names.name(table.name[slot])
        definition = name.definition
        label = definition.name if definition else "?"
        if self._names and label not in self._names and name.called not in self._names:
            return None
        worker = table.worker[slot]
        if actor := name.actor_of(table.ids[slot]):
            key = "actor", actor
        else:
            key = "worker", b"" if worker == NO_WORKER else table.names.workers[worker].worker_id
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= LANES_MAX:
                self._left_out += 1
                return None
            lane = self._lanes[key] = len(self._lanes)
        number = self._labels.setdefault(label, len(self._labels))
        return Span(lane, start, end, number, table.state[slot], 1, table.ids[slot], end - start)

    # -- what is shown

    def _show(self, start: float, end: float, first: float, last: float, wall: float) -> TimelineState:
        assert self._spans is not None
        running = self._running(wall)
        lanes = self._lanes_shown()
        order = {key: number for number, (key, _) in enumerate(lanes)}
        place = [order[key] for key in self._lanes]
        shown = [*self._spans.shown(), *running]
        shown.sort(key=lambda span: (place[span.lane], span.start))
        self.cost += len(shown) // SPANS_A_ROW
        spans = Spans(
            lane=[place[span.lane] for span in shown],
            start=[ms(span.start) for span in shown],
            duration_ms=[round((span.end - span.start) * 1000, 3) for span in shown],
            name=[span.name for span in shown],
            state=[span.state for span in shown],
            count=[span.count for span in shown],
            task=[span.task.hex() for span in shown],
        )
        store = self._store.show(len(lanes), wall, self._end_s or float("inf"))
        waiting = [(ms(at), s.tasks_waiting, s.tasks_running) for at, s in self._tables.history.samples]
        return TimelineState(
            start=ms(start),
            end=ms(end),
            first=ms(first),
            last=ms(last),
            lanes=[*(lane for _, lane in lanes), *store.lanes],
            names=list(self._labels),
            spans=spans,
            store=store.spans,
            waiting=waiting,
            left_out=self._left_out,
            store_dropped=self._tables.stores.dropped,
        )

    def _lanes_shown(self) -> list[tuple[tuple[str, bytes], Lane]]:
        """Workers in the order of their pids, then actors: those that have spans, and those that live."""
        processes: dict[bytes, tuple[int, bytes, bool]] = {}
        for worker in self._table.names.workers:
            processes[worker.worker_id] = worker.pid, worker.node_id, False
        living: list[bytes] = []
        for node in self._tables.members.nodes.values():
            for listing in node.workers.values():
                processes[listing.worker_id] = listing.pid, node.id, True
                if listing.state in ("idle", "leased"):
                    living.append(listing.worker_id)
        keys = dict.fromkeys(self._lanes)
        for worker_id in living:
            if len(keys) < LANES_MAX:
                keys.setdefault(("worker", worker_id))
        lanes = [(key, self._lane(key, processes)) for key in keys]
        pid = {key: processes.get(key[1], (0,))[0] for key in keys}
        return sorted(lanes, key=lambda lane: (lane[1].kind == "actor", pid[lane[0]], lane[1].label))

    def _lane(self, key: tuple[str, bytes], processes: dict[bytes, tuple[int, bytes, bool]]) -> Lane:
        kind, number = key
        if kind == "actor":
            actor = self._tables.actors.index.actors.get(number)
            if actor is None:
                return Lane(number.hex(), f"actor {number.hex()[:8]}", kind, alive=False)
            label = f"{actor.spec.class_name} {actor.spec.name}".rstrip()
            return Lane(number.hex(), label, kind, actor.node_id.hex(), actor.state != DEAD)
        if number not in processes:
            return Lane("", "worker not known", kind, alive=False)
        pid, node, alive = processes[number]
        return Lane(number.hex(), f"worker {pid}", kind, node.hex(), alive)
