"""Between the browser's websockets and a cluster's event hub: a guest of the cluster, in a thread of its own.

Rules
-----
* One thread and one transport for a cluster, for all windows that look at it; it ends with the last of them.
* What a window has taken in (written to its socket) is told to the hub, which sends no more than a few megabytes ahead
  of that: so nothing queues here or there, however slow a browser is.
* A hub that was restarted says welcome again; then the window subscribes again.
* When the cluster has ended, its windows are told.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.session_dir import is_held
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.messages.gcs import ScreenRequest, ScreenTold
from raynb.runtime.messages.node import LeaveNode

BEAT_S: Final = 2.0
"""So often the hub hears of each window, and the cluster is looked for."""
WELCOME: Final = b'{"type":"welcome"'


class Window:
    """A browser's websocket, as its bridge knows it.

    Parameters
    ----------
    told
        Called in the bridge's thread with JSON; ``None`` when the cluster has ended.
    """

    def __init__(self, told: Callable[[bytes | None], None]) -> None:
        self.told = told
        self.taken = 0

    def hear(self, data: bytes) -> None:
        """The hub says something."""
        if data.startswith(WELCOME):
            self.taken = 0  # it counts from here
        self.told(data)


class Bridge:
    """A guest of one cluster. Its public methods may be called from any thread."""

    def __init__(self, entry: ClusterEntry) -> None:
        self._entry = entry
        self._transport = Transport(f"ipc://{entry.session_dir}/p/{secrets.token_hex(8)}")
        self._lock = threading.Lock()
        self._windows: dict[int, Window] = {}
        self._outgoing: deque[ScreenRequest] = deque()
        self._last = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"raynb-{entry.cluster_id}", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Bridge to {self._entry.cluster_id}, {len(self._windows)} windows>"

    def open(self, window: Window) -> int | None:
        """A window begins to look; its number. None if this bridge is closing already."""
        with self._lock:
            if self._closing:
                return None
            self._last += 1
            self._windows[self._last] = window
            self._outgoing.append(ScreenRequest(self._last))
            number = self._last
        self._transport.wake()
        return number

    def ask(self, number: int, data: bytes) -> None:
        """A window says something."""
        with self._lock:
            window = self._windows.get(number)
            if window is None:
                return
            self._outgoing.append(ScreenRequest(number, data, window.taken))
        self._transport.wake()

    def took(self, number: int, size: int) -> None:
        """A window has taken in so many bytes more."""
        with self._lock:
            window = self._windows.get(number)
            if window is None:
                return
            window.taken += size
            self._outgoing.append(ScreenRequest(number, b"", window.taken))
        self._transport.wake()

    def close_window(self, number: int) -> None:
        """It looks no more."""
        with self._lock:
            if self._windows.pop(number, None) is None:
                return
            self._outgoing.append(ScreenRequest(number, b"", -1))
            self._closing = self._closing or not self._windows
        self._transport.wake()

    @property
    def closing(self) -> bool:
        return self._closing

    def join(self, timeout_s: float = 5.0) -> None:
        """Wait until its thread has ended; for tests."""
        self._thread.join(timeout_s)

    # -- the thread

    def _run(self) -> None:
        gcs = self._entry.gcs_address
        beat = time.monotonic() + BEAT_S
        while True:
            received = self._transport.receive(max(0.0, beat - time.monotonic()))
            for sender, message in received:
                if sender == gcs and isinstance(message, ScreenTold):
                    window = self._windows.get(message.screen)
                    if window is not None:
                        window.hear(message.data)
            with self._lock:
                outgoing, closing = list(self._outgoing), self._closing
                self._outgoing.clear()
            for request in outgoing:
                self._transport.send(gcs, request)
            if closing:
                break
            if time.monotonic() >= beat:
                beat = time.monotonic() + BEAT_S
                if not is_held(Path(self._entry.session_dir)):
                    self._cluster_ended()
                    break
                with self._lock:
                    self._outgoing += [ScreenRequest(n, b"", window.taken) for n, window in self._windows.items()]
        self._transport.send(gcs, LeaveNode())
        self._transport.close()

    def _cluster_ended(self) -> None:
        with self._lock:
            self._closing = True
            windows = list(self._windows.values())
            self._windows.clear()
        for window in windows:
            window.told(None)


class Bridges:
    """The bridges of a server, by cluster."""

    def __init__(self) -> None:
        self._bridges: dict[str, Bridge] = {}
        self._lock = threading.Lock()

    def open(self, entry: ClusterEntry, window: Window) -> tuple[Bridge, int]:
        """Let a window look at a cluster. `OSError` if that has just ended."""
        with self._lock:
            self._bridges = {key: bridge for key, bridge in self._bridges.items() if not bridge.closing}
            bridge = self._bridges.get(entry.session_dir)
            number = bridge.open(window) if bridge is not None else None
            if bridge is None or number is None:
                bridge = self._bridges[entry.session_dir] = Bridge(entry)
                number = bridge.open(window)
                assert number is not None
            return bridge, number
