"""What a client reads from other nodes' memory: its node manager brings copies here, and says where they lie.

What is held, and which places are known, is decided by `raynb.runtime.core.far_places`, whose `answered` and `asked`
are called in the seat.
"""

from __future__ import annotations

import time
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from raynb.runtime.client.failures import to_exception
from raynb.runtime.core.far_places import PLACES_MAX, FarPlaces, outcome
from raynb.runtime.core.inbox import Answer, Ask, Outgoing, StopWaiting, WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages import Message
from raynb.runtime.messages.errors import GetTimeoutError, ObjectLostError, RaySystemError
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.transfers import LOST, FetchObjects, ObjectsFetched, StopFetching
from raynb.runtime.messages.values import Failed, Stored, Value

if TYPE_CHECKING:
    from raynb.runtime.client.client import Client

RECHECK_S: Final = 1.0
PATIENCE_S: Final = 0.1
"""A worker that waits longer gives its CPUs to others meanwhile."""


class ValuesLostError(ObjectLostError):
    """These values can't be had from where they were said to be; their owners may know of others.

    ``why``, as a part of a sentence, where more is known of it."""

    def __init__(self, lost: list[Stored], why: str = "") -> None:
        super().__init__(lost[0].oid.hex(), lost[0].owner)
        self.lost = lost
        self.why = why


class Fetch:
    """One request to the node manager."""

    __slots__ = ("answer", "lock", "message")

    def __init__(self, message: FetchObjects, wake: Callable[[], None] | None = None) -> None:
        self.message = message
        self.lock = allocate_lock()
        self.lock.acquire()
        self.answer = Answer(Waiter(1, wake or self.lock.release))

    @property
    def values(self) -> list[Stored | Failed] | None:
        """What came of it; None if it is not answered, or nobody will answer any more."""
        reply = self.answer.reply
        return reply.values if isinstance(reply, ObjectsFetched) else None


class Hold:
    """See `Fetching.held`."""

    def __init__(self, fetching: Fetching, wanted: list[Stored], deadline: float | None, together: bool) -> None:
        self._fetching = fetching
        self._wanted = wanted
        self._deadline = deadline
        self._together = together
        self._fetch: Fetch | None = None

    def __enter__(self) -> None:
        __tracebackhide__ = True
        if not all(map(self._fetching.place, self._wanted)):
            self._fetch = self._fetching.fetch(self._wanted, self._deadline, together=self._together)
        # Else who reads one sees whether it is still there.

    def __exit__(self, *exc: object) -> None:
        if self._fetch is not None:
            self._fetching.release(self._fetch)


class Fetching(FarPlaces):
    """Fetches for one client."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.node_manager)
        self._client = client
        self._ahead: dict[bytes, None] = {}
        """Objects that were asked for before anybody needed them."""

    def begin(
        self, wanted: Sequence[Stored], done: Callable[[list[Stored | Failed] | None], None], *, together: bool = False
    ) -> None:
        """Have these brought here; ``done`` is called in the seat, and the places are known then."""
        fetch: Fetch

        def arrived() -> None:
            fetch.answer.waiter.wake = None  # it refers to this, and this to what waits
            self.learn(fetch.message.wanted, fetch.values or ())
            self.release(fetch)
            done(fetch.values)

        fetch = Fetch(FetchObjects(0, list(wanted), together), arrived)
        self._client.post(Ask(self._node_manager, fetch.message, fetch.answer))

    def prefetch(self, wanted: Sequence[Stored]) -> None:
        """Have the arguments of a task brought here in time; whether that works is seen when they are needed."""
        self.begin(wanted, lambda values: None, together=True)

    def bring_ahead(self, values: Iterable[Value | None]) -> None:
        """Have those brought here that are far, each once: what makes room for others is not asked for again."""
        wanted = [v for v in values if self.is_far(v) and v.oid not in self._ahead and self.place(v) is None]
        if wanted:
            if len(self._ahead) > PLACES_MAX:
                self._ahead.clear()
            self._ahead.update((value.oid, None) for value in wanted)
            self.begin(wanted, lambda values: None)

    def held(self, values: Iterable[Value | None], deadline: float | None = None, *, together: bool = False) -> Hold:
        """A context: while it lasts, the places of all of these that are far are known, if anybody has to be asked.

        Raises
        ------
        ValuesLostError
            They can't be had from where they are said to be.
        ObjectStoreFullError, OutOfDiskError
            There is no room for them here.
        GetTimeoutError
            They were not here before the deadline (monotonic).
        """
        wanted = [value for value in values if self.is_far(value)]
        return Hold(self, wanted, deadline, together)

    def load(self, values: Sequence[Value | None], deadline: float | None) -> list[Any]:
        """Values some of which are far: all of these are brought here first."""
        __tracebackhide__ = True
        with self.held(values, deadline):
            return [self._client.load(value) for value in values]

    def fetch(self, wanted: list[Stored], deadline: float | None, *, together: bool) -> Fetch:
        """Have these brought here, and wait. To be released; raises as `held` does."""
        __tracebackhide__ = True
        fetch = Fetch(FetchObjects(0, wanted, together))
        self._client.post(Ask(self._node_manager, fetch.message, fetch.answer))
        try:
            self._wait(fetch, deadline)
        except BaseException:
            self._give_up(fetch)
            raise
        try:
            self._check(fetch)
        except BaseException:
            self.release(fetch)
            raise
        self.learn(fetch.message.wanted, fetch.values or ())
        return fetch

    def _wait(self, fetch: Fetch, deadline: float | None) -> None:
        __tracebackhide__ = True
        if self._client.gives_way:
            patience = time.monotonic() + PATIENCE_S
            if self._answered(fetch, patience if deadline is None else min(patience, deadline)):
                return
            # It takes a while: others may use this process's CPUs.
            waiter = Waiter(1, None)
            self._client.post(WaitFor(waiter, []))
            try:
                enough = self._answered(fetch, deadline)
            finally:
                self._client.post(StopWaiting(waiter, []))
        else:
            enough = self._answered(fetch, deadline)
        if not enough:
            raise GetTimeoutError("not all values were brought to this node in time")

    def _answered(self, fetch: Fetch, deadline: float | None) -> bool:
        """Wait for the answer; False if it was not here in time."""
        __tracebackhide__ = True
        host, answer = self._client.host, fetch.answer
        host.drive(lambda: answer.reply is not None, deadline)
        host.nudge()
        while answer.reply is None:
            left = RECHECK_S if deadline is None else min(RECHECK_S, max(deadline - time.monotonic(), 0.0))
            if fetch.lock.acquire(timeout=left) or answer.reply is not None:
                return True
            if not host.alive:
                raise RaySystemError("raynb was shut down while this call waited")
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    def _give_up(self, fetch: Fetch) -> None:
        """Nobody waits for it any more; what is answered nevertheless is let go."""
        fetch.answer.waiter.wake = lambda: self.release(fetch)
        if fetch.answer.reply is not None:
            self.release(fetch)
        elif fetch.message.request:
            self._client.post(Outgoing(self._node_manager, StopFetching(fetch.message.request)))

    def _check(self, fetch: Fetch) -> None:
        __tracebackhide__ = True
        reply: Message | None = fetch.answer.reply
        if isinstance(reply, Reply):
            assert reply.error is not None, reply
            raise to_exception(reply.error)
        lost, failure = outcome(fetch.message.wanted, fetch.values or ())
        if failure is not None and failure.kind == LOST:
            raise ValuesLostError(lost, failure.message)
        if failure is not None:
            raise to_exception(failure)

    def release(self, fetch: Fetch) -> None:
        """What was fetched is viewed by now, or won't be."""
        self.let_go(fetch.message.request)
