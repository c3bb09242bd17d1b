"""What happened in the stores, in lanes: of each node its waits for room, writes to disk, transfers, dropped copies.

Rules
-----
* A transfer stands in two lanes: *in* at the node that has fetched it, *out* at the one that it came from.
* Only lanes with something in them are shown, after those of the workers and actors.
* Spans are joined as `lane_spans` says; what is joined has the bytes of all.
* A live view takes in each event once, when it has ended; what lasts is looked at each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from raynb.runtime.core.lane_spans import LaneSpans, Span
from raynb.runtime.core.live_view import Tables, ms
from raynb.runtime.core.store_history import StoreEvent, StoreHistory
from raynb.runtime.messages.screen import Lane, StoreSpans
from raynb.runtime.messages.store_events import STORE_EVENT_KINDS, TRANSFER

OUT: Final = len(STORE_EVENT_KINDS)
"""In place of a kind: the lane of what other nodes fetch."""
LABELS: Final = ("waits for room", "writes to disk", "transfers in", "drops copies", "transfers out")
SPANS_MAX: Final = 1000
NODE_CHARS: Final = 6

LaneKey = tuple[bytes, int]
"""Node, and kind or `OUT`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn below the workers: ``order`` are the lanes' keys."""

    lanes: list[Lane]
    spans: StoreSpans


class StoreLanes:
    """See the module's rules."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._history: StoreHistory = tables.stores
        self._spans: LaneSpans | None = None
        self._seen = 0
        self._numbers: dict[LaneKey, int] = {}

    def look(self, start: float, end: float, since: float, until: float, buckets: int, *, anew: bool) -> int:
        """Take in what has ended since the last look; gives how many events were looked at.

        Parameters
        ----------
        start, end
            The window that is shown; `buckets` steps are to be told apart in it.
        since, until
            What lies outside is left out.
        anew
            Forget what was taken in.
        """
        history = self._history
        new = history.ended_ever - self._seen
        events: Iterable[StoreEvent]
        if self._spans is None or anew or new > len(history.over):
            self._spans = LaneSpans(start, max(1e-6, (end - start) / buckets), SPANS_MAX)
            self._numbers.clear()
            events, new = history.over, len(history.over)
        else:
            events = history.ended_last(new)
        self._seen = history.ended_ever
        nodes = self._nodes_by_manager()
        for event in events:
            if event.started < until and event.ended >= since:
                for span in self._of(event, event.ended, nodes):
                    self._spans.add(span)
        while self._spans.step * buckets < end - start:
            self._spans.widen()
        return new

    def _nodes_by_manager(self) -> dict[str, bytes]:
        return {node.manager: node.id for node in self._tables.members.nodes.values()}

    def _of(self, event: StoreEvent, end: float, nodes: dict[str, bytes]) -> list[Span]:
        lanes = [(event.node, event.kind)]
        source = nodes.get(event.other)
        if event.kind == TRANSFER and source is not None:
            lanes.append((source, OUT))
        end = max(event.started, end)
        return [
            Span(
                self._number(lane), event.started, end, lane[1], event.state, 1, b"",
                end - event.started, event.size, event,
            )
            for lane in lanes
        ]  # fmt: skip

    def _number(self, lane: LaneKey) -> int:
        return self._numbers.setdefault(lane, len(self._numbers))

    def show(self, first: int, wall: float, until: float) -> Shown:
        """What is drawn; the lanes are numbered from ``first`` on."""
        assert self._spans is not None, "it was looked at"
        nodes = self._nodes_by_manager()
        lasting: list[Span] = []
        for event in self._history.open.values():
            if event.started < until:
                lasting += self._of(event, wall, nodes)
        order = sorted(self._numbers, key=lambda lane: (lane[0], _RANK[lane[1]]))
        place = {self._numbers[lane]: first + number for number, lane in enumerate(order)}
        spans = sorted([*self._spans.shown(), *lasting], key=lambda span: (place[span.lane], span.start))
        events = [span.what if isinstance(span.what, StoreEvent) else None for span in spans]
        columns = StoreSpans(
            lane=[place[span.lane] for span in spans],
            start=[ms(span.start) for span in spans],
            duration_ms=[round((span.end - span.start) * 1000, 3) for span in spans],
            kind=[span.name for span in spans],
            state=[span.state for span in spans],
            count=[span.count for span in spans],
            size=[span.size for span in spans],
            object=[event.oid.hex() if event else "" for event in events],
            who=[event.who if event else "" for event in events],
            other=[self._other(event, span, nodes) if event else "" for event, span in zip(events, spans, strict=True)],
        )
        several = len({node for node, _ in order} | {node.id for node in self._tables.members.nodes.values()}) > 1
        return Shown([self._lane(lane, several) for lane in order], columns)

    @staticmethod
    def _other(event: StoreEvent, span: Span, nodes: dict[str, bytes]) -> str:
        """The node at the other end of a transfer."""
        if event.kind != TRANSFER:
            return ""
        return event.node.hex() if span.name == OUT else nodes.get(event.other, b"").hex()

    def _lane(self, lane: LaneKey, several: bool) -> Lane:
        node, kind = lane
        label = f"{LABELS[kind]} · {node.hex()[:NODE_CHARS]}" if several else LABELS[kind]
        found = self._tables.members.nodes.get(node)
        return Lane(f"store:{node.hex()}:{kind}", label, "store", node.hex(), found is None or found.alive)


_RANK: Final = {kind: rank for rank, kind in enumerate((0, 1, 2, OUT, 3))}
