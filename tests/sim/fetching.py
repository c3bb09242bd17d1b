"""What a simulated client reads from other nodes' memory: as `raynb.runtime.client.fetching` does it, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.inbox import Answer, Ask, Outgoing, StopWaiting, WaitFor
from raynb.runtime.core.ownership import Waiter
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.transfers import LOST, EvictCopies, FetchObjects, ObjectsFetched, StopFetching
from raynb.runtime.messages.values import Failed, Stored, Value
from tests.sim.outcomes import RemoteError, StoreFull, TimeoutOfGet, ValuesLost
from tests.sim.threads import Lock, Steps

if TYPE_CHECKING:
    from tests.sim.client import SimClient

RECHECK_S = 1.0
PATIENCE_S = 0.1
"""A worker that waits longer gives its CPUs to others meanwhile."""


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


class Fetching:
    """The places of values that lie elsewhere."""

    def __init__(self, client: SimClient) -> None:
        self._client = client
        self._node = client.node.address
        self._places: dict[int, tuple[Stored, Stored]] = {}
        """By identity of a value: the value itself, and its copy here."""
        self._held: dict[int, list[bytes]] = {}
        """Request -> objects."""

    def is_far(self, value: Value | None) -> bool:
        """Whether a value lies in another node's memory."""
        return type(value) is Stored and value.node != self._node

    def place(self, value: Stored) -> Stored | None:
        """Where the copy of a value lies here, as far as that is known."""
        known = self._places.get(id(value))
        return known[1] if known is not None and known[0] is value else None

    # -- in the I/O thread

    def answered(self, message: ObjectsFetched) -> None:
        """From here until `release` these are held."""
        self._held[message.request] = [value.oid for value in message.values if isinstance(value, Stored)]

    def asked(self, message: EvictCopies) -> set[bytes]:
        """Forget what is not held; gives what is."""
        held = {oid for oids in self._held.values() for oid in oids}
        going = set(message.oids) - held
        for key, (value, _) in list(self._places.items()):
            if value.oid in going:
                del self._places[key]
        return held

    def prefetch(self, wanted: list[Stored]) -> None:
        """Have the arguments of a task brought here in time."""

        def arrived() -> None:
            self._learn(fetch)
            self.release(fetch)

        fetch = Fetch(FetchObjects(0, wanted, True), arrived)
        self._client.post(Ask(self._node, fetch.message, fetch.answer))

    # -- in its threads

    def bring(self, values: Iterable[Value | None], deadline: float | None = None, *, together: bool = False) -> Steps:
        """Have all of these that are far here; gives what to `release` when they have been looked at.

        Raises
        ------
        ValuesLost, StoreFull, TimeoutOfGet
        """
        wanted = [value for value in values if isinstance(value, Stored) and value.node != self._node]
        if all(map(self.place, wanted)):
            return None
        fetch = Fetch(FetchObjects(0, wanted, together))
        self._client.post(Ask(self._node, fetch.message, fetch.answer))
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
        self._learn(fetch)
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
            self._client.post(Outgoing(self._node, StopFetching(fetch.message.request)))

    def _check(self, fetch: Fetch) -> None:
        reply: Any = fetch.answer.reply
        if isinstance(reply, Reply):
            assert reply.error is not None, reply
            raise RemoteError(reply.error)
        lost: list[Stored] = []
        for wanted, value in zip(fetch.message.wanted, fetch.values or (), strict=True):
            if isinstance(value, Failed) and value.kind == LOST:
                lost.append(wanted)
            elif isinstance(value, Failed):
                assert value.kind == "ObjectStoreFullError", value
                self._client.oracle.store_was_full(self._client.node)
                raise StoreFull(value.message)
        if lost:
            raise ValuesLost(lost)

    def _learn(self, fetch: Fetch) -> None:
        for wanted, value in zip(fetch.message.wanted, fetch.values or (), strict=False):
            if isinstance(value, Stored):
                self._places[id(wanted)] = (wanted, value)

    def release(self, fetch: Fetch | None) -> None:
        """What a fetch has brought has been looked at."""
        if fetch is not None:
            self._held.pop(fetch.message.request, None)

    def sweep(self) -> None:
        """Forget the places of values that nobody here has an entry for (any more)."""
        entries = self._client.machine.objects.entries
        for key, (value, _) in list(self._places.items()):
            entry = entries.get(value.oid)
            if entry is None or entry.value is not value:
                del self._places[key]
