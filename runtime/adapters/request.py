"""Asking a process of a cluster from outside of it: one transport, a request, its reply, a deadline.

For the command line, the Jupyter server and tests, which are no clients of a node: they don't join, own nothing, and
say goodbye when they close.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from raynb.runtime.adapters.transport import Transport
from raynb.runtime.codec.trace_lanes import arranged
from raynb.runtime.messages import Message
from raynb.runtime.messages.errors import RpcError, make_error
from raynb.runtime.messages.gcs import Query, Reply
from raynb.runtime.messages.node import LeaveNode
from raynb.runtime.messages.values import Failed

RETRY_S: Final = 1.0
IDLE_S_MAX: Final = 300.0
"""A guest that was silent for longer comes back under a new address: the GCS forgets those it does not hear of."""

T = TypeVar("T")


class Requester:
    """A guest of a cluster. Not for several threads at once.

    Parameters
    ----------
    session_dir : Path or str
        The cluster's; the guest's own socket is below it.

    Examples
    --------
    >>> with Requester(info.session_dir) as guest:  # doctest: +SKIP
    ...     guest.query(info.gcs, "tasks", limit=10)["rows"]
    """

    def __init__(self, session_dir: Path | str) -> None:
        self._session_dir = session_dir
        self._transport = self._arrive()
        self._numbers = count(1)
        self._met: dict[str, None] = {}
        self._last_words = time.monotonic()

    def __repr__(self) -> str:
        return f"<Requester {self._transport.address}>"

    def _arrive(self) -> Transport:
        return Transport(f"ipc://{self._session_dir}/p/{secrets.token_hex(8)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye to everybody who was asked. Idempotent."""
        for peer in self._met:
            self._transport.send(peer, LeaveNode())
        self._met.clear()
        self._transport.close()

    def number(self) -> int:
        """A number for the next request."""
        return next(self._numbers)

    def send(self, to: str, message: Message) -> None:
        """Send what needs no answer."""
        now = time.monotonic()
        if now - self._last_words > IDLE_S_MAX:
            self.close()
            self._transport = self._arrive()
        self._last_words = now
        self._met[to] = None
        self._transport.send(to, message)

    def ask(self, to: str, message: Message, timeout_s: float = 10.0) -> Reply:
        """Send a numbered request, again each second, until its `Reply` is there.

        Raises
        ------
        RpcError
            No answer in time.
        Exception
            The request was refused: the class and the words that the answer names.
        """
        number: int = message.request  # type: ignore[union-attr]
        reply = self._until(to, message, timeout_s, Reply, lambda reply: reply.request == number)
        if reply.error is not None:
            raise failure(reply.error)
        return reply

    def expect(self, to: str, message: Message, kind: type[T], timeout_s: float = 10.0) -> T:
        """Send a message, again each second, until one of this kind comes.

        Raises
        ------
        RpcError
            It did not come in time.
        """
        return self._until(to, message, timeout_s, kind, lambda _: True)

    def _until(self, to: str, message: Message, timeout_s: float, kind: type[T], matches: Any) -> T:
        deadline = time.monotonic() + timeout_s
        again = 0.0
        while (now := time.monotonic()) < deadline:
            if now >= again:
                self.send(to, message)
                again = now + RETRY_S
            for _, answer in self._transport.receive(min(again, deadline) - now):
                if isinstance(answer, kind) and matches(answer):
                    return answer
        name = type(message).__name__
        raise RpcError(
            f"no answer to {name} from {to} within {timeout_s:g} s: is the cluster still running? (raynb status)"
        )

    def query(
        self,
        gcs: str,
        table: str,
        filters: Sequence[tuple[str, str, str]] = (),
        limit: int = 100,
        *,
        id: str = "",
        detail: bool = False,
        after: int = 0,
        timeout_s: float = 10.0,
        patience_s: float = 0.0,
    ) -> dict[str, Any]:
        """A page of a table of the GCS, as a map (see `Query`).

        Raises
        ------
        RpcError
            No answer in time.
        ValueError
            There is no such table or field.
        """
        query = Query(self.number(), table, list(filters), limit, id, detail, after, patience_s)
        reply = self.ask(gcs, query, timeout_s)
        page: dict[str, Any] = msgspec.msgpack.decode(reply.data)
        return page

    def timeline(self, gcs: str, page_rows: int = 20_000, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """All of the Chrome trace, fetched page by page."""
        events: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.query(gcs, "timeline", limit=page_rows, after=after, timeout_s=timeout_s)
            events += page["rows"]
            after = page["next"]
            if not after:
                return arranged(events)


def failure(failed: Failed) -> Exception:
    """The exception that a refusal stands for. Nothing is unpickled."""
    return make_error(failed.kind, failed.message)
