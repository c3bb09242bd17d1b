"""How much of the paced generators that run here has been consumed: they wait for that."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable

from raynb.runtime.core.executor import Job
from raynb.runtime.messages.tasks import StreamAck

RECHECK_S = 1.0

Push = tuple[str, int]
"""Its sender and its number there."""

_UNPACED = sys.maxsize


class Consumption:
    """Told by the I/O thread; asked by the threads and loops that run generators."""

    def __init__(self) -> None:
        self._consumed: dict[Push, int] = {}
        self._changed = threading.Condition()
        self._wake: dict[Push, Callable[[], None]] = {}
        self._gone: set[Push] = set()

    def begin(self, job: Job) -> None:
        """A generator starts to run."""
        self._consumed[_push(job)] = 0

    def end(self, job: Job) -> None:
        """It has ended."""
        self._consumed.pop(_push(job), None)
        self._gone.discard(_push(job))

    # -- in the I/O thread

    def told(self, sender: str, message: StreamAck) -> None:
        """So much was consumed (or nobody consumes any more)."""
        push = (sender, message.seq)
        if push in self._consumed:
            self._consumed[push] = _UNPACED if message.closed else max(self._consumed[push], message.consumed)
            self.wake()

    def forget(self, sender: str) -> None:
        """Who has called is dead: its generators are to end."""
        self._gone.update(push for push in list(self._consumed) if push[0] == sender)
        self.wake()

    def wake(self) -> None:
        """Have all that wait look again; one may have been cancelled."""
        with self._changed:
            self._changed.notify_all()
        for wake in list(self._wake.values()):
            wake()

    # -- where generators run

    def wait(self, job: Job, sent: int, cancelled: Callable[[], bool]) -> None:
        """Return when another item may be made.

        Raises
        ------
        KeyboardInterrupt
            Nobody wants one: it was cancelled, or who has called is dead.
        """
        while not self._may_go_on(job, sent):
            if cancelled():
                raise KeyboardInterrupt
            with self._changed:
                if not self._may_go_on(job, sent) and not cancelled():
                    self._changed.wait(RECHECK_S)

    async def wait_async(self, job: Job, sent: int) -> None:
        """As `wait`, in an event loop, whose tasks are cancelled by its own means."""
        loop = asyncio.get_running_loop()
        while not self._may_go_on(job, sent):
            changed = asyncio.Event()
            self._wake[_push(job)] = _setter(loop, changed)
            try:
                if not self._may_go_on(job, sent):
                    await changed.wait()
            finally:
                self._wake.pop(_push(job), None)

    def _may_go_on(self, job: Job, sent: int) -> bool:
        push = _push(job)
        if push in self._gone:
            raise KeyboardInterrupt
        return sent - self._consumed[push] < job.function.backpressure


def _setter(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> Callable[[], None]:
    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    return wake


def _push(job: Job) -> Push:
    return job.sender, job.spec.seq
