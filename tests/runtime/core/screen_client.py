"""A screen as a browser's window is one, at the hub's pure machine: what it was told, put together."""

from __future__ import annotations

from typing import Any

import msgspec

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.gcs import GcsMachine
from raynb.runtime.messages import decode, encode, screen
from raynb.runtime.messages.gcs import ScreenRequest, ScreenTold

DRIVER = "ipc:///s/p/driver"


class Hub:
    """A GCS machine and its clock."""

    def __init__(self) -> None:
        from raynb.runtime.core.gcs_effects import Loaded
        from raynb.runtime.messages import Config

        self.now = 100.0
        self.machine = GcsMachine(1, Config(), 1000.0, "here", "demo", "1.2.3")
        self.machine.handle(Loaded([], []), self.now)

    def receive(self, sender: str, message: Any) -> list[Any]:
        effects = self.machine.handle(Received(sender, decode(encode(message))), self.now)
        self.machine.check()
        return effects

    def tick(self, seconds: float = 0.25) -> list[Any]:
        self.now += seconds
        effects = self.machine.handle(Tick(), self.now)
        self.machine.check()
        return effects


class Listener:
    """What a screen was told: all of it, and the views as it has put them together.

    Attributes
    ----------
    received
        Bytes.
    """

    def __init__(self) -> None:
        self.received = 0
        self.told: list[Any] = []
        self.states: dict[int, Any] = {}
        self.seqs: dict[int, int] = {}

    def hear(self, data: bytes) -> Any:
        """Take in a message, which must follow those before it."""
        self.received += len(data)
        told = msgspec.json.decode(data, type=screen.Told)
        self.told.append(told)
        match told:
            case screen.Snapshot(id, state):
                self.seqs[id], self.states[id] = 0, state
            case screen.Delta(id, seq, state):
                assert seq == self.seqs[id] + 1, "a gap"
                self.seqs[id], self.states[id] = seq, merged(self.states[id], state)
            case _:
                pass
        return told


class Window(Listener):
    """One screen of a guest."""

    def __init__(self, hub: Hub, number: int = 1, guest: str = "ipc:///s/p/jupyter") -> None:
        super().__init__()
        self.hub = hub
        self.number = number
        self.guest = guest

    def ask(self, request: Any) -> None:
        """Send a request, and take in what comes of it."""
        message = ScreenRequest(self.number, msgspec.json.encode(request), self.received)
        self.take(self.hub.receive(self.guest, message))

    def acknowledge(self) -> None:
        self.take(self.hub.receive(self.guest, ScreenRequest(self.number, b"", self.received)))

    def tick(self, seconds: float = 0.25) -> list[Any]:
        """Time passes; what this screen was told meanwhile."""
        before = len(self.told)
        self.take(self.hub.tick(seconds))
        return self.told[before:]

    def take(self, effects: list[Any]) -> None:
        for effect in effects:
            if not (isinstance(effect, Send) and isinstance(effect.message, ScreenTold)):
                continue
            if (effect.to, effect.message.screen) == (self.guest, self.number):
                self.hear(effect.message.data)

    def subscribe(self, view: Any, number: int = 1) -> Any:
        """The first state of a view."""
        self.ask(screen.Subscribe(number, view))
        return self.states.get(number)


def merged(before: Any, delta: Any) -> Any:
    """A view's state after a delta, as a front end keeps it."""
    if isinstance(delta, screen.GraphState):
        nodes = {node.id: node for node in (*before.nodes, *delta.nodes) if node.id not in delta.gone_nodes}
        edges = {(e.source, e.target, e.kind): e for e in (*before.edges, *delta.edges)}
        for key in delta.gone_edges:
            edges.pop(key, None)
        whole = {"nodes": list(nodes.values()), "edges": list(edges.values()), "gone_nodes": [], "gone_edges": []}
        return msgspec.structs.replace(delta, **whole)
    if isinstance(delta, screen.CellsState):
        cells = {(cell.notebook, cell.cell): cell for cell in (*before.cells, *delta.cells)}
        return screen.CellsState(list(cells.values()))
    return delta
