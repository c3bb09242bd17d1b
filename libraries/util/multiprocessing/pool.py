"""``raynb.util.multiprocessing.Pool``: the standard library's pool, its processes actors of a cluster."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

from raynb.runtime.api.actors import ActorHandle, unkept
from raynb.runtime.api.cluster import cluster_resources
from raynb.runtime.api.objects import kill, put, wait
from raynb.runtime.api.remote import make_remote
from raynb.runtime.api.session import connect, init, is_initialized
from raynb.util.multiprocessing.results import (
    AsyncResult,
    Batch,
    IMapIterator,
    OrderedIMapIterator,
    PoolTaskError,
    UnorderedIMapIterator,
)

Call = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Arguments of one call."""

CHUNKS_PER_PROCESS = 4
"""How finely ``map`` cuts, as the standard library does: finer evens out, coarser costs less."""


class PoolActor:
    """One process of a pool."""

    def __init__(self, initializer: Callable[..., object] | None, initargs: Sequence[Any]) -> None:
        if initializer is not None:
            initializer(*initargs)

    def ping(self) -> None:
        """Return: the process is there."""

    def run_batch(self, func: Callable[..., Any], calls: list[Call]) -> list[Any]:
        """The results, a `PoolTaskError` where a call raised."""
        return [self._run(func, call) for call in calls]

    def _run(self, func: Callable[..., Any], call: Call) -> Any:
        try:
            return func(*call[0], **call[1])
        except Exception as error:
            # A pickled exception loses its traceback; its notes go with it.
            error.add_note(f"In process {os.getpid()} of the pool:\n{traceback.format_exc().rstrip()}")
            return PoolTaskError(error)


@dataclass
class _Process:
    actor: ActorHandle
    batches: int = 0
    last: Batch | None = None
    """Batches run in turn: when this one has ended, all have."""


class Pool:
    """Processes that run functions, as `multiprocessing.Pool`'s do, wherever the cluster has CPUs.

    Parameters
    ----------
    processes
        How many; by default as many as the cluster has CPUs. Where no cluster is connected, one is started with so
        many CPUs.
    initializer, initargs
        Called in each process first.
    maxtasksperchild
        A process that has run so many batches is replaced by a new one.
    context
        Without effect; a value other than None gets a warning.
    ray_address
        The cluster to connect to (else the environment's ``RAY_ADDRESS``), if none is connected yet.
    ray_remote_args
        Options of the actors: ``{"num_cpus": 1, "max_restarts": 1}``.

    Raises
    ------
    ValueError
        More processes than the cluster has CPUs, or none.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Sequence[Any] | None = None,
        maxtasksperchild: int | None = None,
        context: Any = None,
        ray_address: str | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
    ) -> None:
        if context is not None:
            warnings.warn("the cluster says how processes are started: 'context' has no effect", stacklevel=2)
        if processes is not None and processes <= 0:
            raise ValueError("The number of processes in the pool must be >0.")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._closed = False
        self._last: list[Batch] = []
        """Of processes that are to end, their last batches."""
        self._closing: list[ActorHandle] = []
        """To end processes of a closed pool before their time; these handles don't keep them."""
        self._initializer, self._initargs = initializer, tuple(initargs or ())
        self._maxtasksperchild = maxtasksperchild
        self._class = make_remote(PoolActor, dict(ray_remote_args or {}))
        self._turn = 0
        self._processes = [self._start() for _ in range(_connected_with(processes, ray_address))]
        if initializer is not None:
            begun = [process.actor.__ray_ready__.remote() for process in self._processes]
            wait(begun, num_returns=len(begun))  # where it has failed, the calls say so

    def _start(self) -> _Process:
        return _Process(self._class.remote(self._initializer, self._initargs))

    def _send(self, func: Any, calls: list[Call], process: int | None = None) -> Batch:
        """Give a batch to the next process in turn."""
        if process is None:
            process, self._turn = self._turn, (self._turn + 1) % len(self._processes)
        slot = self._processes[process]
        batch: Batch = slot.actor.run_batch.remote(func, calls)
        slot.batches += 1
        slot.last = batch
        if slot.batches == self._maxtasksperchild:
            self._let_end(slot)
            self._processes[process] = self._start()
        return batch

    def _let_end(self, process: _Process) -> None:
        """With the last handle to it: after what it was given to run."""
        if self._last:
            _, self._last = wait(self._last, num_returns=len(self._last), timeout=0)
        if process.last is not None:
            self._last.append(process.last)

    def _batches(self, func: Callable[..., Any], calls: Iterator[Call], chunksize: int) -> Iterator[Batch]:
        shared = put(func)  # pickled once, however many batches there are
        while chunk := list(islice(calls, chunksize)):
            yield self._send(shared, chunk)

    # -- one call

    def apply(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """``func(*args, **kwargs)``, in one of the processes."""
        return self.apply_async(func, args, kwargs).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[Any], object] | None = None,
    ) -> AsyncResult:
        """As `apply`, without waiting: ask what is returned for the result."""
        self._check_running()
        batch = self._send(func, [(tuple(args or ()), dict(kwargs or {}))])
        return AsyncResult([batch], True, callback, error_callback, self)

    # -- a call for each item

    def map(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """``[func(item) for item in iterable]``, spread over the processes.

        Parameters
        ----------
        chunksize
            How many items are one batch; by default so that each process gets about four.

        Raises
        ------
        Exception
            What the first item that failed raised.
        """
        items: list[Any] = self.map_async(func, iterable, chunksize).get()
        return items

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[Any], object] | None = None,
    ) -> AsyncResult:
        """As `map`, without waiting.

        Parameters
        ----------
        callback
            Gets the list of results, once, if no item failed.
        error_callback
            Gets the `PoolTaskError` of the first item that failed, once.
        """
        return self._map(func, [((item,), {}) for item in iterable], chunksize, callback, error_callback)

    def starmap(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[Any]:
        """As `map`, with ``func(*item)``."""
        items: list[Any] = self._map(func, _unpacked(iterable), chunksize, None, None).get()
        return items

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[Any], object] | None = None,
    ) -> AsyncResult:
        """As `map_async`, with ``func(*item)``."""
        return self._map(func, _unpacked(iterable), None, callback, error_callback)

    def _map(
        self,
        func: Callable[..., Any],
        calls: list[Call],
        chunksize: int | None,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[Any], object] | None,
    ) -> AsyncResult:
        self._check_running()
        if chunksize is None:
            chunksize = max(1, -(-len(calls) // (CHUNKS_PER_PROCESS * len(self._processes))))
        _check_chunksize(chunksize)
        batches = list(self._batches(func, iter(calls), chunksize))
        return AsyncResult(batches, False, callback, error_callback, self)

    def imap(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """The results of `map` one by one, in order; items are read as there is need: they may be endless.

        As in Ray, and unlike in the standard library, an item whose call raised gives a `PoolTaskError` in its place.
        """
        self._check_running()
        _check_chunksize(chunksize)
        calls: Iterator[Call] = (((item,), {}) for item in iterable)
        return OrderedIMapIterator(self._batches(func, calls, chunksize), len(self._processes))

    def imap_unordered(self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1) -> IMapIterator:
        """As `imap`; each result comes as soon as it is there."""
        self._check_running()
        _check_chunksize(chunksize)
        calls: Iterator[Call] = (((item,), {}) for item in iterable)
        return UnorderedIMapIterator(self._batches(func, calls, chunksize), len(self._processes))

    # -- the end

    def _check_running(self) -> None:
        if self._closed:
            raise ValueError("Pool not running")

    def __enter__(self) -> Self:
        self._check_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    def close(self) -> None:
        """Take no more calls; the processes end when they have run what they were given."""
        self._closed = True
        processes, self._processes = self._processes, []
        for process in processes:
            self._let_end(process)
            self._closing.append(unkept(process.actor))

    def terminate(self) -> None:
        """Take no more calls, and end the processes at once."""
        self.close()
        for actor in self._closing:
            kill(actor)
        self._closing.clear()

    def join(self) -> None:
        """Wait until a closed pool has run what it was given.

        Raises
        ------
        ValueError
            The pool was neither closed nor terminated.
        """
        if not self._closed:
            raise ValueError("Pool is still running")
        if self._last:
            wait(self._last, num_returns=len(self._last))


def _connected_with(processes: int | None, address: str | None) -> int:
    """Connect to a cluster, if none is; how many processes to start in it."""
    if not is_initialized():
        address = address or os.environ.get("RAY_ADDRESS")
        init(address) if address else init(num_cpus=processes)
    connect()
    cpus = int(cluster_resources().get("CPU", 0))
    if processes is None:
        processes = cpus
        if processes <= 0:
            raise ValueError("The number of processes in the pool must be >0: the cluster has no CPU, so say how many.")
    elif cpus < processes:
        raise ValueError(
            f"Tried to start a pool with {processes} processes on an existing ray cluster, but there are only {cpus} "
            "CPUs in the ray cluster."
        )
    return processes


def _unpacked(iterable: Iterable[Iterable[Any]]) -> list[Call]:
    return [(tuple(item), {}) for item in iterable]


def _check_chunksize(chunksize: int) -> None:
    if chunksize < 1:
        raise ValueError(f"chunksize must be 1 or more, not {chunksize}")
