"""Between a node manager and its forkserver: spawn orders one way, reports the other, over a pair
of sockets.

The pair keeps message boundaries (``SOCK_SEQPACKET``) and order, and orders may be sent before the
forkserver has started. Neither side ever waits for the other: a forkserver that does not read
makes `SpawnChannel.order` say False.
"""

from __future__ import annotations

import select
import socket

import msgspec
from msgspec import Struct

from raynb.runtime.messages.node import WorkerSettings

FRAME_BYTES_MAX = 128 * 1024


class Forked(Struct, array_like=True, frozen=True, gc=False):
    """Forkserver -> node manager: the outcome of an order."""

    token: str
    pid: int
    error: str = ""
    """Not empty: the fork failed."""


_encode = msgspec.msgpack.encode
_decode_order = msgspec.msgpack.Decoder(WorkerSettings).decode
_decode_report = msgspec.msgpack.Decoder(Forked).decode


def channel() -> tuple[SpawnChannel, socket.socket]:
    """The node manager's end, and the socket that becomes the forkserver's standard input."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return SpawnChannel(ours), theirs


class SpawnChannel:
    """The node manager's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def order(self, settings: WorkerSettings) -> bool:
        """Order a worker. False if the forkserver does not take it now (busy, stopped or dead)."""
        try:
            self._socket.send(_encode(settings))
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def reports(self) -> list[Forked]:
        """What was forked since the last call."""
        found: list[Forked] = []
        try:
            while data := self._socket.recv(FRAME_BYTES_MAX):
                found.append(_decode_report(data))
        except (BlockingIOError, ConnectionResetError):
            pass
        return found

    def close(self) -> None:
        self._socket.close()


class OrderSource:
    """The forkserver's end. Blocking: it has nothing else to do."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(True)

    def wait(self, timeout_s: float) -> bool:
        """Whether there is something to read within this time."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def next(self) -> WorkerSettings | None:
        """Wait for an order; None when the node manager is gone."""
        try:
            data = self._socket.recv(FRAME_BYTES_MAX)
        except ConnectionResetError:
            return None
        return _decode_order(data) if data else None

    def report(self, forked: Forked) -> None:
        """Tell the outcome of an order."""
        self._socket.send(_encode(forked))

    def detach(self) -> None:
        """Forget the descriptor without closing it; a forked worker puts another file in its
        place.
        """
        self._socket.detach()
