"""A connection to Redis on which whole lists of commands go out, and their replies come back.

Two kinds. `UnixWire` is for the private server: it needs nothing but a socket, for the client
library costs 0.3 s and 36 MB to import, in every start of a cluster. `LibraryWire` stands on
redis-py and takes any URL that redis-py takes, with TLS and everything.

Both are dropped by whatever goes wrong in an exchange, an interrupt too: a reply that comes late
must never be taken for the next call's.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

Argument = bytes | str | int
Command = tuple[Argument, ...]
Reply = bytes | int | list["Reply"] | None

_RECEIVE_BYTES: Final = 256 * 1024
_JOIN_BYTES_MAX: Final = 64 * 1024
_BULK_BYTES_MAX: Final = 512 * 1024 * 1024
_DEPTH_MAX: Final = 4


class WireError(OSError):
    """No connection, or it broke, or the time is over, or what came is not Redis's protocol."""


class NoTimeError(WireError):
    """The deadline had passed before anything was done."""


class RefusedError(Exception):
    """Redis answered a command with an error. ``code`` is its first word (``NOPERM``, ...)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Wire(Protocol):
    """One connection; used by one thread at a time."""

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Reply]:
        """Send all commands at once and wait for all replies.

        Parameters
        ----------
        deadline : float
            On the clock of `time.monotonic`.

        Raises
        ------
        RefusedError
            The first error among the replies; all of them have been read, the connection is good.
        WireError
            The connection is closed now; whether the commands were done is not known.
        """
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


class UnixWire:
    """Speaks RESP 2 on a unix socket.

    Parameters
    ----------
    path : Path
        The socket.
    user, password : str
        Of an ACL user.
    deadline : float
        For connecting, on the clock of `time.monotonic`.

    Raises
    ------
    RefusedError
        Wrong user or password, or the server is still loading (``LOADING``).
    WireError
        Nobody listens there.
    """

    def __init__(self, path: Path, user: str, password: str, deadline: float) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._deadline = deadline
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(_remaining(deadline))
            self._socket.connect(str(path))
        except BaseException as error:
            self._socket.close()
            if isinstance(error, OSError) and not isinstance(error, WireError):
                raise WireError(f"{path}: {error.strerror or error}") from error
            raise
        try:
            self.exchange([("AUTH", user, password), ("PING",)], deadline)
        except BaseException:
            self._socket.close()
            raise

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Reply]:
        self._deadline = deadline
        refused: RefusedError | None = None
        replies: list[Reply] = []
        try:
            self._socket.settimeout(_remaining(deadline))
            for chunk in _chunks(commands):
                self._socket.sendall(chunk)
            for _ in commands:
                try:
                    replies.append(self._reply(0))
                except RefusedError as error:
                    refused = refused or error
            if self._at != len(self._buffer):
                raise WireError("the server said more than it was asked")
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise WireError("the server did not answer in time") from error
            if isinstance(error, OSError) and not isinstance(error, WireError):
                raise WireError(str(error)) from error
            raise
        if refused is not None:
            raise refused
        return replies

    def close(self) -> None:
        self._socket.close()

    def _reply(self, depth: int) -> Reply:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RefusedError(rest.decode(errors="replace"))
        try:
            number = int(rest)
        except ValueError:
            raise WireError(f"not Redis's protocol: {line[:40]!r}") from None
        if kind == b":":
            return number
        if number == -1 and kind in (b"$", b"*"):
            return None
        if kind == b"$" and 0 <= number <= _BULK_BYTES_MAX:
            return self._bulk(number)
        if kind == b"*" and number >= 0 and depth < _DEPTH_MAX:
            return self._array(number, depth + 1)
        raise WireError(f"not Redis's protocol: {line[:40]!r}")

    def _array(self, length: int, depth: int) -> list[Reply]:
        """All of an array, also where one of its elements is an error: the next reply is behind."""
        refused: RefusedError | None = None
        replies: list[Reply] = []
        for _ in range(length):
            try:
                replies.append(self._reply(depth))
            except RefusedError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return replies

    def _line(self) -> bytes:
        start = self._at
        while (end := self._buffer.find(b"\r\n", start)) < 0:
            start = max(self._at, len(self._buffer) - 1)
            moved = self._receive()
            start -= moved
        line = bytes(self._buffer[self._at : end])
        self._at = end + 2
        return line

    def _bulk(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size + 2:
            self._receive()
        end = self._at + size
        data = bytes(memoryview(self._buffer)[self._at : end])
        if self._buffer[end : end + 2] != b"\r\n":
            raise WireError("not Redis's protocol: a string without its end")
        self._at = end + 2
        return data

    def _receive(self) -> int:
        """Take in what has come, at least a byte. Returns by how much the buffer's start moved."""
        moved = self._at
        del self._buffer[:moved]
        self._at = 0
        self._socket.settimeout(_remaining(self._deadline))
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise WireError("the server closed the connection")
        self._buffer += data
        return moved


class LibraryWire:
    """Through redis-py, to any Redis that a URL can name.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``, with redis-py's options in its query.
    deadline : float
        For connecting, on the clock of `time.monotonic`.

    Raises
    ------
    ValueError
        It is no such URL.
    RefusedError, WireError
        As `UnixWire`.
    """

    def __init__(self, url: str, deadline: float) -> None:
        import redis
        import redis.connection

        library: Any = redis.connection  # it has hardly any types
        self._errors = redis.RedisError, redis.ResponseError, redis.AuthenticationError
        seconds = _remaining(deadline)
        options = library.parse_url(url)
        kind = options.pop("connection_class", library.Connection)
        # A URL may not turn on what makes calls longer than their deadline.
        options |= {
            "health_check_interval": 0,
            "protocol": 2,
            "retry_on_timeout": False,
            "socket_connect_timeout": seconds,
            "socket_timeout": seconds,
        }
        try:
            self._connection = kind(**options)
        except TypeError as error:
            raise ValueError(f"the Redis URL has an option that redis-py doesn't know: {error}") from (None)
        try:
            self._connection.connect()
            self.exchange([("PING",)], deadline)
        except BaseException as error:
            self.close()
            if isinstance(error, redis.AuthenticationError):
                raise RefusedError(f"WRONGPASS {error}") from error
            if isinstance(error, redis.RedisError):
                raise WireError(str(error)) from error
            raise

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Reply]:
        library_error, response_error, authentication_error = self._errors
        refused: RefusedError | None = None
        replies: list[Reply] = []
        try:
            if not self._connection.is_connected:  # it would reconnect by itself, without WATCH
                raise WireError("the connection was closed")
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(self._connection.read_response(disable_decoding=True, timeout=_remaining(deadline)))
                except response_error as error:
                    refused = refused or RefusedError(_text(error))
        except BaseException as error:
            self.close()
            if isinstance(error, authentication_error):
                raise RefusedError(f"NOAUTH {error}") from error
            if isinstance(error, library_error):
                raise WireError(str(error)) from error
            raise
        for reply in replies:
            if isinstance(reply, list):  # redis-py leaves errors in EXEC's array as values
                errors = [one for one in reply if isinstance(one, Exception)]
                refused = refused or (RefusedError(_text(errors[0])) if errors else None)
        if refused is not None:
            raise refused
        return replies

    def close(self) -> None:
        self._connection.disconnect()


def _text(error: object) -> str:
    """Redis's error as it was on the wire: redis-py cuts the code of those that it knows."""
    codes = {
        "BusyLoadingError": "LOADING",
        "NoPermissionError": "NOPERM",
        "AuthenticationError": "NOAUTH",
        "ReadOnlyError": "READONLY",
        "ExecAbortError": "EXECABORT",
        "OutOfMemoryError": "OOM",
    }
    code = codes.get(type(error).__name__, "")
    return str(error) if str(error).startswith(code) else f"{code} {error}"


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise NoTimeError("no time is left")
    return left


def _chunks(commands: Sequence[Command]) -> list[bytes]:
    """The bytes of the commands: small pieces joined, large ones left where they are."""
    chunks: list[bytes] = []
    pieces: list[bytes] = []
    size = 0
    for command in commands:
        pieces.append(b"*%d\r\n" % len(command))
        for argument in command:
            data = argument if isinstance(argument, bytes) else str(argument).encode()
            pieces.append(b"$%d\r\n" % len(data))
            if len(data) > _JOIN_BYTES_MAX:
                chunks += (b"".join(pieces), data)
                pieces, size = [b"\r\n"], 0
            else:
                pieces += (data, b"\r\n")
                size += len(data)
        if size > _JOIN_BYTES_MAX:
            chunks.append(b"".join(pieces))
            pieces, size = [], 0
    if pieces:
        chunks.append(b"".join(pieces))
    return chunks
