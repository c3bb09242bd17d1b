"""``as_completed`` and ``map_unordered``: results as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.api.objects import get, wait
from raynb.runtime.client.refs import ObjectRef


def as_completed(
    refs: Sequence[ObjectRef[Any]], *, chunk_size: int = 10, yield_obj_refs: bool = False, **kwargs: Any
) -> Iterator[Any]:
    """The results of references as they become ready, a chunk at a time.

    Parameters
    ----------
    chunk_size
        How many must be ready before they are given out.
    yield_obj_refs
        Give the references, not the values.
    **kwargs
        For `wait`: ``timeout``, ``fetch_local``.

    Raises
    ------
    ValueError
        ``chunk_size`` is not positive.
    """
    _check_positive("chunk_size", chunk_size)
    waiting = list(refs)
    while waiting:
        ready, waiting = _next_ready(waiting, chunk_size, kwargs)
        yield from _given_out(ready, yield_obj_refs)


def map_unordered(
    fn: RemoteFunction,
    items: Iterable[Any],
    *,
    backpressure_size: int | None = 100,
    chunk_size: int = 10,
    yield_obj_refs: bool = False,
    **kwargs: Any,
) -> Iterator[Any]:
    """Call a remote function for each item, and give the results as they become ready.

    Parameters
    ----------
    fn
        Gets one item a call.
    items
        Read as far as needed only: it may be endless.
    backpressure_size
        At most so many calls are under way (a chunk is no larger then); None: no limit.
    chunk_size, yield_obj_refs, **kwargs
        As for `as_completed`.

    Raises
    ------
    ValueError
        A size is not positive.
    TypeError
        ``fn`` is no remote function.
    """
    if not hasattr(fn, "remote"):
        raise TypeError(f"map_unordered() takes a remote function, not {fn!r}: decorate it with @ray.remote")
    _check_positive("chunk_size", chunk_size)
    if backpressure_size is not None:
        _check_positive("backpressure_size", backpressure_size)
    waiting: list[ObjectRef[Any]] = []
    for item in items:
        if backpressure_size is not None and len(waiting) >= backpressure_size:
            ready, waiting = _next_ready(waiting, chunk_size, kwargs)
            yield from _given_out(ready, yield_obj_refs)
        waiting.append(fn.remote(item))
    yield from as_completed(waiting, chunk_size=chunk_size, yield_obj_refs=yield_obj_refs, **kwargs)


def _check_positive(name: str, value: int) -> None:
    if value <= 0:
        raise ValueError(f"{name} must be positive (>= 1), not {value}")


def _next_ready(
    waiting: list[ObjectRef[Any]], chunk_size: int, how: dict[str, Any]
) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    return wait(waiting, num_returns=min(chunk_size, len(waiting)), **how)


def _given_out(ready: list[ObjectRef[Any]], as_refs: bool) -> Iterator[Any]:
    yield from ready if as_refs else get(ready)
