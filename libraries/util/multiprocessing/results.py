"""What a pool's calls give: results that are waited for, and iterators over results."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import TimeoutError
from typing import Any

from raynb.runtime.api.objects import get, wait
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.errors import RayError

AHEAD = 4
"""An iterator holds at most so many batches a process that nobody has asked for yet."""

Batch = ObjectRef[list[Any]]
"""The results of one call of an actor, one for each item; a `PoolTaskError` where an item's call raised."""


class PoolTaskError(Exception):
    """One item's call raised.

    Attributes
    ----------
    underlying : Exception
        What it raised.
    """

    def __init__(self, underlying: Exception) -> None:
        super().__init__(underlying)
        self.underlying = underlying


class AsyncResult:
    """The outcome of ``apply_async``, ``map_async`` or ``starmap_async``.

    Parameters
    ----------
    batches
        What computes it.
    single
        There is one item, and its result is the outcome.
    callback, error_callback
        One of them is called once, in a thread: with the outcome, or with the `PoolTaskError` of the first item that
        failed.
    pool
        Kept while the result is.
    """

    def __init__(
        self,
        batches: list[Batch],
        single: bool,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[Any], object] | None,
        pool: object,
    ) -> None:
        self._batches = batches
        self._single = single
        self._callback = callback
        self._error_callback = error_callback
        self._pool = pool
        self._thread: threading.Thread | None = None
        if callback is not None or error_callback is not None:
            self._thread = threading.Thread(target=self._call_back, name="raynb-pool-callback", daemon=True)
            self._thread.start()

    def _call_back(self) -> None:
        try:
            items = self._items()
            failed = next((item for item in items if isinstance(item, PoolTaskError)), None)
        except RayError as error:  # the actor died
            items, failed = [], PoolTaskError(error)
        if failed is not None:
            if self._error_callback is not None:
                self._error_callback(failed)
        elif self._callback is not None:
            self._callback(items[0] if self._single else items)

    def _items(self) -> list[Any]:
        return [item for batch in get(self._batches) for item in batch]

    def wait(self, timeout: float | None = None) -> None:
        """Until it is there and the callback has returned, or for ``timeout`` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
        elif self._batches:
            wait(self._batches, num_returns=len(self._batches), timeout=timeout)

    def get(self, timeout: float | None = None) -> Any:
        """The outcome.

        Raises
        ------
        multiprocessing.TimeoutError
            It was not there in time.
        Exception
            What the first item that failed raised.
        """
        self.wait(timeout)
        if not self.ready():
            raise TimeoutError
        items = self._items()
        for item in items:
            if isinstance(item, PoolTaskError):
                raise item.underlying
        return items[0] if self._single else items

    def ready(self) -> bool:
        """Whether it is there, and the callback has returned."""
        if self._thread is not None:
            return not self._thread.is_alive()
        return not self._batches or not wait(self._batches, num_returns=len(self._batches), timeout=0)[1]

    def successful(self) -> bool:
        """Whether no item's call raised.

        Raises
        ------
        ValueError
            It isn't known yet.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        try:
            return not any(isinstance(item, PoolTaskError) for item in self._items())
        except RayError:
            return False


class IMapIterator(Iterator[Any]):
    """Results one by one. Items are read, and batches submitted, as earlier ones finish.

    Where an item's call raised, its `PoolTaskError` is given in its place, as Ray does: the iteration goes on.

    Parameters
    ----------
    batches
        Submits the next batch each time it is asked.
    width
        How many batches run at once.
    """

    def __init__(self, batches: Iterator[Batch], width: int) -> None:
        self._unsent = batches
        self._width = width
        self._pending: list[Batch] = []  # in the order of their items
        self._items: deque[Any] = deque()
        self._exhausted = False
        self._refill(0)

    def _refill(self, running: int) -> None:
        while not self._exhausted and running < self._width and len(self._pending) < AHEAD * self._width:
            batch = next(self._unsent, None)
            if batch is None:
                self._exhausted = True
            else:
                self._pending.append(batch)
                running += 1

    def _choose(self, ready: list[Batch]) -> Batch | None:
        """Which of the batches that are ready comes next."""
        raise NotImplementedError

    def _take(self, timeout: float | None) -> Batch:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # Each that has finished makes room for another, though its own turn may be later.
            ready, running = wait(self._pending, num_returns=len(self._pending), timeout=0)
            self._refill(len(running))
            batch = self._choose(ready)
            if batch is not None:
                self._pending.remove(batch)
                return batch
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not wait(running, num_returns=1, timeout=left)[0]:
                raise TimeoutError

    def next(self, timeout: float | None = None) -> Any:
        """The next result.

        Raises
        ------
        StopIteration
            There are no more.
        multiprocessing.TimeoutError
            It was not there within ``timeout`` seconds.
        """
        while not self._items:
            if not self._pending:
                raise StopIteration
            self._items.extend(get(self._take(timeout)))
        return self._items.popleft()

    def __next__(self) -> Any:
        return self.next()


class OrderedIMapIterator(IMapIterator):
    """Results in the order of the items."""

    def _choose(self, ready: list[Batch]) -> Batch | None:
        return self._pending[0] if self._pending[0] in ready else None


class UnorderedIMapIterator(IMapIterator):
    """Results as they come."""

    def _choose(self, ready: list[Batch]) -> Batch | None:
        return ready[0] if ready else None
