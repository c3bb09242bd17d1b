"""``raynb.util.ActorPool``: work shared out among actors that are there already."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from raynb.runtime.api.objects import get, wait
from raynb.runtime.client.refs import ObjectRef

Submit = Callable[[Any, Any], Any]
"""``(actor, value) -> ObjectRef``."""


@dataclass
class _Call:
    """A value that was submitted, until its result has been handed out."""

    submit: Submit
    value: Any
    actor: Any = None
    ref: ObjectRef[Any] | None = None


class ActorPool:
    """Actors that take turns: each has at most one call of the pool's at a time, the other calls wait.

    An actor is free again when the result of its call is asked for, as in Ray.

    Parameters
    ----------
    actors
        Handles; they stay the caller's, the pool ends none.

    Examples
    --------
    >>> pool = ActorPool([Squarer.remote(), Squarer.remote()])  # doctest: +SKIP
    >>> list(pool.map(lambda actor, value: actor.square.remote(value), range(4)))  # doctest: +SKIP
    [0, 1, 4, 9]
    """

    def __init__(self, actors: Iterable[Any]) -> None:
        self._idle: list[Any] = list(actors)
        self._running: dict[int, _Call] = {}  # by number, in the order of submission
        self._waiting: deque[_Call] = deque()
        self._submitted = 0

    def map(self, fn: Submit, values: Iterable[Any]) -> Iterator[Any]:
        """Apply ``fn`` to each value. All are submitted now; iterate for the results, in order.

        Results of earlier calls that nobody asked for are dropped.
        """
        self._submit_all(fn, values)
        return self._results(self.get_next)

    def map_unordered(self, fn: Submit, values: Iterable[Any]) -> Iterator[Any]:
        """As `map`; each result comes as soon as it is there."""
        self._submit_all(fn, values)
        return self._results(self.get_next_unordered)

    def _submit_all(self, fn: Submit, values: Iterable[Any]) -> None:
        for number in list(self._running):
            self._let_go(number)
        for value in values:
            self.submit(fn, value)

    def _results(self, following: Callable[[], Any]) -> Iterator[Any]:
        while self.has_next():
            yield following()

    def submit(self, fn: Submit, value: Any) -> None:
        """Call ``fn(actor, value)`` with the next actor that is free; ask for the result with `get_next`."""
        call = _Call(fn, value)
        if self._idle:
            self._start(call)
        else:
            self._waiting.append(call)

    def _start(self, call: _Call) -> None:
        actor = self._idle.pop()
        try:
            call.ref = call.submit(actor, call.value)
        except BaseException:
            self._idle.append(actor)
            raise
        call.actor = actor
        self._running[self._submitted] = call
        self._submitted += 1

    def has_next(self) -> bool:
        """Whether there are results that were not handed out yet."""
        return bool(self._running)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The result of the oldest call whose result was not handed out.

        Parameters
        ----------
        timeout
            Seconds.
        ignore_if_timedout
            A call whose result is not there in time is dropped, and its actor is free again.

        Raises
        ------
        StopIteration
            There is none.
        TimeoutError
            It was not there in time.
        """
        if not self.has_next():
            raise StopIteration("No more results to get")
        number = min(self._running)
        ref = self._running[number].ref
        ready, _ = wait([ref], timeout=timeout)
        if not ready:
            self._timed_out(number, ref, ignore_if_timedout)
        return self._hand_out(number)

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The result of the call that is ready first; otherwise as `get_next`."""
        if not self.has_next():
            raise StopIteration("No more results to get")
        by_ref = {call.ref: number for number, call in self._running.items()}
        ready, _ = wait(list(by_ref), num_returns=1, timeout=timeout)
        if not ready:
            number = min(self._running)
            self._timed_out(number, self._running[number].ref, ignore_if_timedout)
        return self._hand_out(by_ref[ready[0]])

    def _timed_out(self, number: int, ref: object, ignore: bool) -> None:
        if not ignore:
            raise TimeoutError("Timed out waiting for result")
        self._let_go(number)
        raise TimeoutError(f"Timed out waiting for result. The task {ref} has been ignored.")

    def _hand_out(self, number: int) -> Any:
        # The actor is free before an error is raised: a pool that met one goes on.
        return get(self._let_go(number).ref)

    def _let_go(self, number: int) -> _Call:
        call = self._running.pop(number)
        self._return(call.actor)
        return call

    def _return(self, actor: Any) -> None:
        self._idle.append(actor)
        if self._waiting:
            self._start(self._waiting.popleft())

    def has_free(self) -> bool:
        """Whether a call would start at once."""
        return bool(self._idle) and not self._waiting

    def pop_idle(self) -> Any:
        """Take an idle actor out of the pool; None if all are busy."""
        return self._idle.pop() if self.has_free() else None

    def push(self, actor: Any) -> None:
        """Add an actor.

        Raises
        ------
        ValueError
            The pool has it already.
        """
        if actor in self._idle or any(call.actor == actor for call in self._running.values()):
            raise ValueError("Actor already belongs to current ActorPool")
        self._return(actor)
