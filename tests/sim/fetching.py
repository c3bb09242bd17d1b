"""What a simulated client reads from other nodes' memory: as `raynb.runtime.client.fetching` does it, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from raynb.runtime.client.fetching import PATIENCE_S, RECHECK_S
from raynb.runtime.core.far_places import FarPlaces, outcome
from raynb.runtime.core.inbox import Answer, Ask, Outgoing, StopWaiting, WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.transfers import LOST, FetchObjects, ObjectsFetched, StopFetching
from raynb.runtime.messages.values import Failed, Stored, Value
from tests.sim.outcomes import RemoteError, StoreFull, TimeoutOfGet, ValuesLost
from tests.sim.threads import Lock, Steps

if TYPE_CHECKING:
    from tests.sim.client import SimClient


class Fetch:
    """One request to the node manager."""

    __slots__ = ("answer", "lock", "message")

    def __init__(self, message: FetchObjects, wake: Callable[[], None] | None = None) -> None:
        self.message = message
        self.lock = Lock()
        self.answer = Answer(Waiter(1, wake or self.lock.release))

    @property
    def values(self) -> list[Stored | Failed] | None:
        """What came of it; None if it is not answered, or refused."""
        reply = self.answer.reply
        return reply.values if isinstance(reply, ObjectsFetched) else None


class Fetching(FarPlaces):
    """Fetches for one simulated client."""

    def __init__(self, client: SimClient) -> None:
        super().__init__(client.node.address)
        self._client = client

    def prefetch(self, wanted: list[Stored]) -> None:
        """Have the arguments of a task brought here in time."""

        def arrived() -> None:
            self.learn(fetch.message.wanted, fetch.values or ())
            self.release(fetch)

        fetch = Fetch(FetchObjects(0, wanted, True), arrived)
        self._client.post(Ask(self._node_manager, fetch.message, fetch.answer))

    # -- in its threads

    def bring(self, values: Iterable[Value | None], deadline: float | None = None, *, together: bool = False) -> Steps:
        """Have all of these that are far here; gives what to `release` when they have been looked at.

        Raises
        ------
        ValuesLost, StoreFull, TimeoutOfGet
        """
        wanted = [value for value in values if self.is_far(value)]
        if all(map(self.place, wanted)):
            return None
        fetch = Fetch(FetchObjects(0, wanted, together))
        self._client.post(Ask(self._node_manager, fetch.message, fetch.answer))
        try:
            yield from self._wait(fetch, deadline)
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

    def _wait(self, fetch: Fetch, deadline: float | None) -> Steps:
        if self._client.gives_way:
            patience = self._client.world.now + PATIENCE_S
            if (yield from self._answered(fetch, patience if deadline is None else min(patience, deadline))):
                return
            # It takes a while: others may use this process's CPUs.
            waiter = Waiter(1, lambda: None)
            self._client.post(WaitFor(waiter, []))
            try:
                enough = yield from self._answered(fetch, deadline)
            finally:
                self._client.post(StopWaiting(waiter, []))
        else:
            enough = yield from self._answered(fetch, deadline)
        if not enough:
            raise TimeoutOfGet

    def _answered(self, fetch: Fetch, deadline: float | None) -> Steps:
        world, answer = self._client.world, fetch.answer
        while answer.reply is None:
            left = RECHECK_S if deadline is None else min(RECHECK_S, max(deadline - world.now, 0.0))
            got = yield fetch.lock.acquire(left)
            if not got and answer.reply is None and deadline is not None and world.now >= deadline:
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
        reply: Any = fetch.answer.reply
        if isinstance(reply, Reply):
            assert reply.error is not None, reply
            raise RemoteError(reply.error)
        lost, failure = outcome(fetch.message.wanted, fetch.values or ())
        if failure is not None and failure.kind == LOST:
            raise ValuesLost(lost)
        if failure is not None:
            assert failure.kind == "ObjectStoreFullError", failure
            self._client.oracle.store_was_full(self._client.node)
            raise StoreFull(failure.message)

    def release(self, fetch: Fetch | None) -> None:
        """What a fetch has brought has been looked at."""
        if fetch is not None:
            self.let_go(fetch.message.request)
