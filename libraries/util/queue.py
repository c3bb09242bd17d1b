"""``raynb.util.queue``: a queue that all processes of a cluster share."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from raynb.runtime.api.actors import ActorHandle
from raynb.runtime.api.objects import get as get_value
from raynb.runtime.api.objects import kill, wait
from raynb.runtime.api.remote import make_remote


class Empty(queue.Empty):
    """There is no item."""


class Full(queue.Full):
    """There is no room."""


class _QueueActor:
    """Holds the items. All of its methods run in one event loop, so each is one step."""

    def __init__(self, maxsize: int) -> None:
        self.items: asyncio.Queue[Any] = asyncio.Queue(maxsize)

    async def qsize(self) -> int:
        return self.items.qsize()

    async def empty(self) -> bool:
        return self.items.empty()

    async def full(self) -> bool:
        return self.items.full()

    async def put(self, item: Any, timeout: float | None = None) -> None:
        try:
            await asyncio.wait_for(self.items.put(item), timeout)
        except TimeoutError:
            raise Full from None

    async def get(self, timeout: float | None = None) -> Any:
        try:
            return await asyncio.wait_for(self.items.get(), timeout)
        except TimeoutError:
            raise Empty from None

    async def put_nowait(self, item: Any) -> None:
        try:
            self.items.put_nowait(item)
        except asyncio.QueueFull:
            raise Full from None

    async def get_nowait(self) -> Any:
        try:
            return self.items.get_nowait()
        except asyncio.QueueEmpty:
            raise Empty from None

    async def put_nowait_batch(self, items: list[Any]) -> None:
        present, limit = self.items.qsize(), self.items.maxsize
        if limit > 0 and present + len(items) > limit:
            raise Full(f"Cannot add {len(items)} items to queue of size {present} and maxsize {limit}.")
        for item in items:
            self.items.put_nowait(item)

    async def get_nowait_batch(self, num_items: int) -> list[Any]:
        if num_items > self.items.qsize():
            raise Empty(f"Cannot get {num_items} items from queue of size {self.items.qsize()}.")
        return [self.items.get_nowait() for _ in range(num_items)]


class Queue:
    """A first-in, first-out queue in an actor of its own. Pass it to tasks and actors: all use the same one.

    Parameters
    ----------
    maxsize
        The most items that it holds; 0: no limit.
    actor_options
        Options of that actor: ``{"num_cpus": 0, "name": ...}``.

    Attributes
    ----------
    actor
        Its handle; None after `shutdown`.
    """

    def __init__(self, maxsize: int = 0, actor_options: dict[str, Any] | None = None) -> None:
        self.maxsize = maxsize
        self.actor: ActorHandle | None = make_remote(_QueueActor, dict(actor_options or {})).remote(maxsize)

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """How many items it has."""
        count: int = self._ask("qsize")
        return count

    def qsize(self) -> int:
        """How many items it has."""
        return self.size()

    def empty(self) -> bool:
        """Whether it has none."""
        answer: bool = self._ask("empty")
        return answer

    def full(self) -> bool:
        """Whether there is no room."""
        answer: bool = self._ask("full")
        return answer

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item.

        Parameters
        ----------
        block
            Wait until there is room.
        timeout
            Seconds, for that.

        Raises
        ------
        Full
            There is no room, or there was none in time.
        ValueError
            The timeout is negative.
        """
        if not block:
            with _as_itself():
                self._ask("put_nowait", item)
            return
        _check_timeout(timeout)
        self._ask("put", item, timeout)

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """As `put`, in a coroutine."""
        if not block:
            with _as_itself():
                await self._call("put_nowait", item)
            return
        _check_timeout(timeout)
        await self._call("put", item, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the oldest item.

        Parameters
        ----------
        block
            Wait until there is one.
        timeout
            Seconds, for that.

        Raises
        ------
        Empty
            There is none, or there was none in time.
        ValueError
            The timeout is negative.
        """
        if not block:
            with _as_itself():
                return self._ask("get_nowait")
        _check_timeout(timeout)
        return self._ask("get", timeout)

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:
        """As `get`, in a coroutine."""
        if not block:
            with _as_itself():
                return await self._call("get_nowait")
        _check_timeout(timeout)
        return await self._call("get", timeout)

    def put_nowait(self, item: Any) -> None:
        """As ``put(item, block=False)``."""
        self.put(item, block=False)

    def get_nowait(self) -> Any:
        """As ``get(block=False)``."""
        return self.get(block=False)

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Add all items, in order, or none.

        Raises
        ------
        Full
            They do not all fit.
        """
        if not isinstance(items, Iterable):
            raise TypeError("Argument 'items' must be an Iterable")
        self._ask("put_nowait_batch", list(items))

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Take so many items, or none.

        Raises
        ------
        Empty
            There are fewer.
        """
        if not isinstance(num_items, int):
            raise TypeError("Argument 'num_items' must be an int")
        if num_items < 0:
            raise ValueError("'num_items' must be nonnegative")
        items: list[Any] = self._ask("get_nowait_batch", num_items)
        return items

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:
        """End the queue, for everybody; what is in it is lost. Idempotent.

        Parameters
        ----------
        force
            At once: calls under way fail. Otherwise those are finished first, for ``grace_period_s`` seconds.
        """
        actor, self.actor = self.actor, None
        if actor is None:
            return
        if not force:
            ended = actor.__ray_terminate__.remote()
            _, running = wait([ended], num_returns=1, timeout=grace_period_s)
            if not running:
                return
        kill(actor, no_restart=True)

    def _call(self, method: str, *args: Any) -> Any:
        if self.actor is None:
            raise AttributeError(f"this queue was shut down: it has no {method!r} any more")
        return getattr(self.actor, method).remote(*args)

    def _ask(self, method: str, *args: Any) -> Any:
        return get_value(self._call(method, *args))


@contextmanager
def _as_itself() -> Iterator[None]:
    """Who does not want to wait is told so in short: no task has failed."""
    try:
        yield
    except Full:
        raise Full from None
    except Empty:
        raise Empty from None


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
