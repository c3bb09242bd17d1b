"""A screen inside the kernel: what a widget's front end asks the event hub for, and what it is told.

The same vocabulary as JupyterLab's panels have over their websocket (`raynb.runtime.messages.screen`), so the same
front end draws both. Here it travels over the widget's comm, which shares its way with all outputs of the notebook: so
what comes is kept, and handed on at most a few times a second, the newest state of each view.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.screen_bridge import Bridge, Window
from raynb.runtime.messages import screen

ASKS_MAX: Final = 8
"""Views of one widget at a time: a panel has two."""
ANSWERS_MAX: Final = 100
SPANS_MAX: Final = 3000

_told: Final = msgspec.json.Decoder(screen.Told)
_request: Final = msgspec.json.Decoder(screen.Request)


class Screen:
    """Subscriptions of one widget to views of one cluster. Its methods may be called from any thread."""

    def __init__(self, entry: ClusterEntry) -> None:
        self._lock = threading.Lock()
        self._asked: dict[int, screen.View] = {}
        self._states: dict[int, screen.ViewState] = {}
        self._changed: set[int] = set()
        self._answers: deque[bytes] = deque(maxlen=ANSWERS_MAX)
        self._welcome = b""
        self._number: int | None = None
        self.ended = False
        self.changes = 0
        """Grows with whatever comes."""
        self._window = Window(self._hear)
        self._bridge = Bridge(entry)
        self._number = self._bridge.open(self._window)

    def __repr__(self) -> str:
        return f"<Screen of {len(self._asked)} views, {'ended' if self.ended else 'open'}>"

    def ask(self, number: int, view: screen.View) -> None:
        """Look at a view, by this number."""
        if isinstance(view, screen.TimelineView) and view.spans_max > SPANS_MAX:
            view = msgspec.structs.replace(view, spans_max=SPANS_MAX)
        with self._lock:
            if number not in self._asked and len(self._asked) >= ASKS_MAX:
                return
            self._asked[number] = view
            welcomed = bool(self._welcome)
        if welcomed:
            self._say(screen.Subscribe(number, view))

    def hear_front_end(self, data: str) -> None:
        """What a front end says: JSON of a `screen.Request`. What makes no sense is passed over."""
        try:
            request = _request.decode(data)
        except msgspec.DecodeError:  # a ValidationError is one
            return
        match request:
            case screen.Subscribe():
                self.ask(request.id, request.view)
            case screen.Unsubscribe():
                with self._lock:
                    self._asked.pop(request.id, None)
                    self._states.pop(request.id, None)
                self._say(request)
            case screen.Act():
                self._say(request)

    def state(self, number: int) -> screen.ViewState | None:
        """The newest state of a view, None if nothing has come yet."""
        with self._lock:
            return self._states.get(number)

    def news(self) -> dict[str, str]:
        """What has changed since this was called last, by number: JSON of whole snapshots; and ``welcome``, once."""
        with self._lock:
            changed = {number: self._states[number] for number in self._changed if number in self._states}
            self._changed.clear()
            welcome, known = self._welcome, bool(changed)
        found = {str(n): msgspec.json.encode(screen.Snapshot(n, state)).decode() for n, state in changed.items()}
        return ({"welcome": welcome.decode()} | found) if known else found

    def answers(self) -> list[str]:
        """What came besides states, for once: JSON of `screen.Done` and `screen.Refused`."""
        with self._lock:
            found = [answer.decode() for answer in self._answers]
            self._answers.clear()
        return found

    def close(self) -> None:
        """Look no more. Idempotent."""
        number, self._number = self._number, None
        if number is not None:
            self._bridge.close_window(number)

    def _say(self, request: screen.Request) -> None:
        number = self._number
        if number is not None:
            self._bridge.ask(number, msgspec.json.encode(request))

    def _hear(self, data: bytes | None) -> None:
        """In the bridge's thread."""
        if data is None:
            self.ended = True
            self.changes += 1
            return
        told = _told.decode(data)
        again: Mapping[int, screen.View] = {}
        with self._lock:
            self.changes += 1
            match told:
                case screen.Welcome():
                    self._welcome = data
                    again = dict(self._asked)
                case screen.Snapshot() | screen.Delta() if told.id in self._asked:
                    fresh = isinstance(told, screen.Snapshot)
                    before = None if fresh else self._states.get(told.id)
                    self._states[told.id] = merged(before, told.state)
                    self._changed.add(told.id)
                case screen.Done() | screen.Refused():
                    self._answers.append(data)
                case _:
                    pass
        for number, view in again.items():
            self._say(screen.Subscribe(number, view))
        if self._number is not None:
            self._bridge.took(self._number, len(data))


def merged(before: screen.ViewState | None, change: screen.ViewState) -> screen.ViewState:
    """A whole state, from the one before and what has changed."""
    if not isinstance(before, screen.GraphState) or not isinstance(change, screen.GraphState):
        return change
    nodes = {node.id: node for node in before.nodes} | {node.id: node for node in change.nodes}
    for gone in change.gone_nodes:
        nodes.pop(gone, None)
    edges: dict[Any, screen.GraphEdge] = {_key(edge): edge for edge in before.edges}
    edges |= {_key(edge): edge for edge in change.edges}
    for gone_edge in change.gone_edges:
        edges.pop(tuple(gone_edge), None)
    kept = [edge for edge in edges.values() if edge.source in nodes and edge.target in nodes]
    return msgspec.structs.replace(change, nodes=list(nodes.values()), edges=kept, gone_nodes=[], gone_edges=[])


def _key(edge: screen.GraphEdge) -> tuple[str, str, str]:
    return edge.source, edge.target, edge.kind
