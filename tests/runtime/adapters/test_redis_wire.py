"""Connections to Redis: peers that misbehave, and deadlines that hold."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raynb.runtime.adapters.redis_wire import (
    LibraryWire,
    UnixWire,
    WireError,
)
from tests.runtime.state_backends import nothing_left, short_directory, soon


@contextlib.contextmanager
def peer(answer: Callable[[socket.socket], object]) -> Iterator[Path]:
    """Something that listens on a socket as a server would, and answers as told."""
    with short_directory() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s"))
        listener.listen()
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5.0)
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield directory / "s"
        finally:
            stop.set()
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(directory / "s"))
            thread.join()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"$-5\r\n",
        b"$99999999999\r\n",
        b"*1\r\n" * 10,
        b":x\r\n",
        b"$3\r\nabcde",
        b"+OK\r\n+OK\r\n+OK\r\n",
        b"",
    ],
)
def test_a_peer_that_does_not_speak_redis_is_a_typed_error(nonsense: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(nonsense)

    with nothing_left(), peer(answer) as path, pytest.raises(WireError):
        UnixWire(path, "user", "password", soon(2.0))


def test_a_wire_is_not_used_again_after_a_failure() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"+OK\r\n+PONG\r\n")
        connection.recv(1000)
        connection.recv(1000)  # late, and for the second question
        connection.sendall(b"$4\r\nlate\r\n")

    with nothing_left(), peer(answer) as path:
        wire = UnixWire(path, "user", "password", soon())
        with pytest.raises(WireError, match="in time"):
            wire.exchange([("GET", "a")], soon(0.05))
        with pytest.raises(WireError):
            wire.exchange([("GET", "b")], soon(1.0))


def test_a_peer_that_answers_byte_by_byte_cannot_stretch_the_deadline() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"+OK\r\n$1000\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    started = time.monotonic()
    # Where the time ends between two reads, there is none left for the next.
    with nothing_left(), peer(answer) as path, pytest.raises(WireError, match=r"in time|no time is left"):
        UnixWire(path, "user", "password", soon(0.2))
    assert time.monotonic() - started < 1.0


def test_a_url_cannot_ask_for_retries_that_outlast_the_deadline() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.recv(1000)

    options = "retry_on_timeout=true&socket_timeout=60&socket_connect_timeout=60&health_check_interval=1"
    with nothing_left(), peer(answer) as path:
        started = time.monotonic()
        with pytest.raises(WireError):
            LibraryWire(f"unix://{path}?{options}", soon(0.2))
        assert time.monotonic() - started < 1.0
