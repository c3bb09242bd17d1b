"""A consumer of streaming generators, as `raynb.runtime.api.generator` is one."""

from __future__ import annotations

from raynb.runtime.core.inbox import CloseStream, StopWaiting, TakeItem, WaitForItem
from raynb.runtime.core.streams import FIRST_ITEM_INDEX
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.ids import object_id
from tests.sim.calls import RECHECK_S
from tests.sim.client import SimClient
from tests.sim.threads import Lock, Steps
from tests.sim.values import Ref


class Generator:
    """An `ObjectRefGenerator`."""

    __slots__ = ("client", "closed", "label", "next", "ref", "task_id")

    def __init__(self, client: SimClient, ref: Ref) -> None:
        self.client = client
        self.ref = ref
        self.task_id = ref.oid[:-4]
        self.next = 0
        self.closed = False

    def state(self) -> bool | None:
        stream = self.client.machine.streams.streams.get(self.task_id)
        if self.closed:
            return False
        if stream is None:
            return False if self.next and self.is_over() else None
        if self.next < stream.received:
            return True
        return False if stream.total is not None else None

    def is_over(self) -> bool:
        entry = self.client.machine.objects.entries.get(self.ref.oid)
        return entry is not None and entry.value is not None

    def take(self) -> Ref:
        oid = object_id(self.task_id, self.next + FIRST_ITEM_INDEX)
        self.client.oracle.item_taken(self.task_id)
        self.client.post(TakeItem(self.task_id, self.next))
        self.next += 1
        return Ref(self.client, oid, self.client.address)

    def close(self) -> None:
        """Let it go; what still runs of every second one is cancelled."""
        if not self.closed:
            self.closed = True
            cancel = sum(self.task_id) % 2 == 0
            if cancel and not self.is_over():
                self.client.oracle.cancel_asked(self.ref.oid, recursive=True, force=False)
            self.client.oracle.stream_closed(self.task_id)
            self.client.post(CloseStream(self.task_id, cancel))


def next_item(client: SimClient, generator: Generator) -> Steps:
    """The next item's reference, or None at the end."""
    while True:
        state = generator.state()
        if state:
            return generator.take()
        if state is False:
            return None
        lock = Lock()
        waiter = Waiter(1, lock.release)
        client.post(WaitForItem(waiter, generator.task_id, generator.next, client.gives_way))
        try:
            yield lock.acquire(RECHECK_S)
        finally:
            client.post(StopWaiting(waiter, [generator.ref.oid]))
        if generator.state() is None and generator.is_over():
            return None
