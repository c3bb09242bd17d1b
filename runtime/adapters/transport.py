"""ZeroMQ between the processes of a cluster: one ROUTER to be reached at, one DEALER towards each peer.

A process's *address* is the endpoint that its ROUTER is bound to, with a random name of its own, so an address also
says which incarnation of a process it is. A DEALER carries the sender's address as its routing id, so every message
arrives with its sender, and the messages of one sender to one receiver keep their order. What a process of this
machine has sent before it ended arrives before the news of its end (see `last_words`).

Everything but `Transport.wake` belongs to one thread.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import zmq

from raynb.runtime.adapters.last_words import ECHO, LastWords
from raynb.runtime.messages import Message, decode, encode
from raynb.runtime.messages.node import ProcessDied
from raynb.runtime.messages.transfers import ObjectChunk

POLLIN: Final = int(zmq.POLLIN)
"""As a plain number: flags cost a microsecond each time."""

FRAMES_PER_TURN_MAX: Final = 256
"""So that a flood from one peer can't keep the loop from its other duties."""


class Transport:
    """The sockets of one process.

    Parameters
    ----------
    address : str
        ``ipc://`` endpoint below the session's directory.
    message_limit_bytes : int
        Larger messages make ZeroMQ drop the peer that sends them.
    on_malformed : Callable[[str, str], None], optional
        Told about peers whose messages can't be decoded: (address, why). They are not listened to afterwards.
    """

    def __init__(
        self,
        address: str,
        message_limit_bytes: int = 512 * 1024 * 1024,
        on_malformed: Callable[[str, str], None] | None = None,
    ) -> None:
        self.address = address
        self._context = zmq.Context()
        self._inbound = self._context.socket(zmq.ROUTER)
        self._inbound.setsockopt(zmq.RCVHWM, 0)
        self._inbound.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._inbound.setsockopt(zmq.MAXMSGSIZE, message_limit_bytes)
        self._inbound.setsockopt(zmq.LINGER, 0)
        try:
            self._inbound.bind(address)
        except zmq.ZMQError as error:  # its directory is gone, say
            self._context.destroy(linger=0)
            raise OSError(error.errno, f"{address}: {error}") from None
        self._peers: dict[str, zmq.SyncSocket] = {}
        self._dropped: set[str] = set()
        self._on_malformed = on_malformed
        self._wake_lock = threading.Lock()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        fd = self._inbound.getsockopt(zmq.FD)
        assert isinstance(fd, int)
        self._inbound_fd = fd
        self._poller = select.epoll()
        self._poller.register(self._wake_fd, select.EPOLLIN)
        self._poller.register(self._inbound_fd, select.EPOLLIN)
        self._watched: dict[int, Callable[[], None]] = {}
        self._last_words = LastWords(self._send_echo)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Transport {self.address} peers={len(self._peers)}{' closed' if self._closed else ''}>"

    # -- sending

    def send(self, to: str, message: Message, payload: memoryview | None = None) -> int:
        """Queue a message; never blocks. Returns its size in bytes. A peer that was forgotten gets nothing.

        ``payload`` travels beside it without being copied: it must not change before the peer has it. The receiver
        finds it as the ``data`` of an `ObjectChunk`.
        """
        frame = encode(message)
        socket = self._peers.get(to)
        if socket is None:
            if to in self._dropped:
                return 0
            socket = self._connect(to)
        if payload is not None:
            socket.send(frame, zmq.NOBLOCK | zmq.SNDMORE)
            socket.send(payload, zmq.NOBLOCK, copy=False)
            return len(frame) + payload.nbytes
        socket.send(frame, zmq.NOBLOCK, copy=len(frame) < 65536)
        return len(frame)

    def _connect(self, to: str) -> zmq.SyncSocket:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.LINGER, 1000)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.ROUTING_ID, self.address.encode())
        socket.connect(to)
        self._peers[to] = socket
        return socket

    def _send_echo(self) -> None:
        (self._peers.get(self.address) or self._connect(self.address)).send(ECHO, zmq.NOBLOCK)

    def forget(self, peer: str) -> None:
        """A peer is dead: drop what is queued for it, and refuse whatever it may still have sent."""
        self._dropped.add(peer)
        socket = self._peers.pop(peer, None)
        if socket is not None:
            socket.close(linger=0)

    # -- receiving

    def receive(self, timeout_s: float | None = 0.0) -> list[tuple[str, Message]]:
        """Wait until messages, a wake-up or a watched descriptor are there, at most ``timeout_s`` (None: for ever).

        Returns
        -------
        list of (sender's address, message)
            Possibly empty. Callbacks of watched descriptors have been called.
        """
        # ZeroMQ's descriptor is edge-triggered: drain first, only then wait on it.
        received = self._drain()
        if received:
            timeout_s = 0.0
        for fd, _ in self._poller.poll(timeout_s):
            if fd == self._wake_fd:
                os.eventfd_read(fd)
            elif fd != self._inbound_fd:
                callback = self._watched.get(fd)
                if callback is not None:
                    callback()
        return received or self._drain()

    def _drain(self) -> list[tuple[str, Message]]:
        received: list[tuple[str, Message]] = []
        inbound, recv, last_words = self._inbound, self._inbound.recv, self._last_words
        # Asking for the events first is far cheaper than an exception for "nothing there".
        while int(inbound.get(zmq.EVENTS)) & POLLIN:
            # A ROUTER gives the sender's name first; what it sent has one frame at least.
            sender = recv(zmq.NOBLOCK).decode("utf-8", "replace")
            body = recv(zmq.NOBLOCK)
            payload = self._payload() if inbound.get(zmq.RCVMORE) else None
            if sender in self._dropped:
                continue
            if not body and sender == self.address:
                last_words.heard_echo()
                continue
            try:
                message = decode(body)
                if payload is not None and type(message) is ObjectChunk:
                    message.data = payload
                if type(message) is ProcessDied:
                    last_words.hold(sender, message.address, message)
                elif not (last_words.pending and last_words.holds(sender, message)):
                    received.append((sender, message))
            except msgspec.MsgspecError as error:
                self.forget(sender)
                if self._on_malformed is not None:
                    self._on_malformed(sender, str(error))
            if len(received) >= FRAMES_PER_TURN_MAX:
                break
        if last_words.pending:
            received += last_words.take()
        return received

    def _payload(self) -> memoryview:
        """What travels beside a message, where ZeroMQ has put it."""
        payload: memoryview = self._inbound.recv(zmq.NOBLOCK, copy=False).buffer
        while self._inbound.get(zmq.RCVMORE):
            self._inbound.recv(zmq.NOBLOCK)  # not from a process of ours
        return payload

    def wake(self) -> None:
        """Make `receive` return soon; from any thread, also after `close`."""
        with self._wake_lock:
            if not self._closed:
                os.eventfd_write(self._wake_fd, 1)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` in `receive` whenever ``fd`` is readable (level-triggered)."""
        self._watched[fd] = callback
        self._poller.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        if self._watched.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def after_all_of(self, dead: str, call: Callable[[], None]) -> None:
        """Call ``call`` in `receive` once all is received that this peer, whose process has ended, had sent."""
        self._last_words.hold_call(dead, call)

    # -- the end

    def close(self, linger_s: float = 0.5) -> None:
        """Send what is queued, within ``linger_s``, and close everything. Idempotent."""
        if self._closed:
            return
        with self._wake_lock:
            # From here on nobody writes to the descriptor, whose number somebody else may get.
            self._closed = True
        for address, socket in self._peers.items():
            socket.close(linger=0 if address == self.address else int(linger_s * 1000))
        self._peers.clear()
        self._inbound.close(linger=0)
        self._context.term()
        self._poller.close()
        os.close(self._wake_fd)
        Path(self.address.removeprefix("ipc://")).unlink(missing_ok=True)
