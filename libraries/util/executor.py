"""``RayExecutor``: the standard library's executor interface on a cluster."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from raynb.runtime.api.objects import cancel
from raynb.runtime.api.remote import make_remote
from raynb.runtime.api.session import connect
from raynb.runtime.client.refs import ObjectRef

T = TypeVar("T")
P = ParamSpec("P")


class RayExecutor(Executor):
    """Runs functions as tasks: a `concurrent.futures.Executor` for programs that are written for one.

    The cluster has its own queue, so a submitted call is a task at once. A future can be cancelled until its task has
    ended: one that runs is interrupted.

    Parameters
    ----------
    **options
        Of each task: ``num_cpus``, ``max_retries``, ``resources``, ...

    Examples
    --------
    >>> with RayExecutor() as executor:  # doctest: +SKIP
    ...     list(executor.map(pow, [2, 3], [4, 5]))
    [16, 243]
    """

    def __init__(self, **options: Any) -> None:
        connect()
        self._call: Any = make_remote(_call, options)
        self._lock = threading.Lock()
        self._refs: dict[Future[Any], ObjectRef[Any]] = {}
        self._all_done = threading.Condition(self._lock)
        self._ended = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` as a task.

        Raises
        ------
        RuntimeError
            After `shutdown`.
        TypeError
            It can't be pickled; the message names the culprit.
        """
        with self._lock:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            ref: ObjectRef[T] = self._call.remote(fn, args, kwargs)
            future: Future[T] = _TaskFuture(ref)
            self._refs[future] = ref
        ref.future().add_done_callback(lambda outcome: self._settle(future, outcome))
        return future

    def _settle(self, future: Future[Any], outcome: Future[Any]) -> None:
        if future.set_running_or_notify_cancel():
            error = outcome.exception()
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(outcome.result())
        with self._lock:
            self._refs.pop(future, None)
            self._all_done.notify_all()

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """As `Executor.map`; with ``chunksize`` that many calls are one task.

        Raises
        ------
        ValueError
            ``chunksize`` is not positive.
        TimeoutError
            From the iterator: a result was not there ``timeout`` seconds after the call of `map`.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        calls = zip(*iterables, strict=False)
        chunks = iter(lambda: list(islice(calls, chunksize)), [])
        return _flatten(super().map(_call_each, _repeat(fn), chunks, timeout=timeout))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with ``wait``, return when all have ended. The cluster stays."""
        with self._lock:
            self._ended = True
            waiting = list(self._refs)
        if cancel_futures:
            for future in waiting:
                future.cancel()
        if wait:
            with self._all_done:
                self._all_done.wait_for(lambda: not self._refs)


class _TaskFuture(Future[T]):
    """A future whose cancelling cancels the task."""

    def __init__(self, ref: ObjectRef[T]) -> None:
        super().__init__()
        self._ref = ref

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        cancel(self._ref)
        return True


def _call(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    return fn(*args, **kwargs)


def _call_each(fn: Callable[..., T], calls: list[tuple[Any, ...]]) -> list[T]:
    return [fn(*args) for args in calls]


def _repeat(value: T) -> Iterator[T]:
    while True:
        yield value


def _flatten(chunks: Iterator[list[T]]) -> Iterator[T]:
    for chunk in chunks:
        items = deque(chunk)
        while items:
            yield items.popleft()
