"""What the threads of a client wait for in `get`; in a worker, waits for what waits for them end with an error.

Rules
-----
1. Only a wait without a timeout is looked into, and only after `PATIENCE_S`: most waits are over long before, and cost
   nothing here. It is looked into again, more and more seldom, for the circle may close later.
2. What is said is known and not guessed: the question is followed from table to table as by `ref.why()`, and must lead
   back to the very object that is waited for, twice.
3. One wait of a circle that ends as an error breaks it; the others then get that error as their task's.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raynb.runtime.messages.errors import DeadlockError

if TYPE_CHECKING:
    from raynb.runtime.client.client import Client
    from raynb.runtime.client.refs import ObjectRef

PATIENCE_S = 3.0
PATIENCE_S_MAX = 60.0
LOOK_S = 0.5
LOOKED_INTO_MAX = 5
"""Of the objects that one call waits for."""

log = logging.getLogger(__name__)


class Wait:
    """One thread's wait.

    Attributes
    ----------
    when
        When it is looked into next, in monotonic seconds.
    error
        What it is to end with.
    """

    __slots__ = ("error", "patience_s", "refs", "timeout_s", "when")

    def __init__(self, refs: Sequence[ObjectRef[Any]], timeout_s: float | None) -> None:
        self.refs = refs
        self.timeout_s = timeout_s
        self.patience_s = PATIENCE_S
        self.when = time.monotonic() + PATIENCE_S
        self.error: Exception | None = None


class Waits:
    """Those of one client, by thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.by_thread: dict[int, Wait] = {}
        self.broken = False
        """One of them is to end with an error."""
        self._thread: threading.Thread | None = None
        self._warned = False

    def __repr__(self) -> str:
        return f"<Waits of {len(self.by_thread)} threads>"

    @contextmanager
    def of(self, refs: Sequence[ObjectRef[Any]], timeout_s: float | None) -> Iterator[None]:
        """This thread waits for these."""
        __tracebackhide__ = True
        self.by_thread[threading.get_ident()] = Wait(refs, timeout_s)
        if self._client.gives_way:
            if not self._warned:
                self._warn_in_loop()
            if self._thread is None and timeout_s is None:
                self._watch()
        try:
            yield
        finally:
            del self.by_thread[threading.get_ident()]
            if self.broken:
                self.broken = any(wait.error is not None for wait in list(self.by_thread.values()))

    def _warn_in_loop(self) -> None:
        """Say once what it means to wait in the event loop of an actor; while it is made, nobody else waits there."""
        asyncio = sys.modules.get("asyncio")  # whoever has a loop has imported it
        if asyncio is None or asyncio._get_running_loop() is None:
            return
        execution = self._client.execution()
        if execution.actor_id and not execution.name.endswith(".__init__"):
            self._warned = True
            log.warning(
                "get() in an event loop holds up all other calls that run there until the value has come: await the "
                "reference instead, or several with asyncio.gather()"
            )

    def check(self) -> None:
        """Raise what the wait of this thread is to end with, if anything."""
        __tracebackhide__ = True
        wait = self.by_thread.get(threading.get_ident())
        if wait is not None and wait.error is not None:
            raise wait.error

    def _watch(self) -> None:
        self._thread = threading.Thread(target=self._run, name="raynb-waits", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        idle_since = time.monotonic()
        while self._client.host.alive:
            time.sleep(LOOK_S)
            now = time.monotonic()
            if self.by_thread:
                idle_since = now
            elif now - idle_since > PATIENCE_S:
                break
            self._look(now)
        self._thread = None
        if self.by_thread and self._client.host.alive:
            self._watch()  # it began just now

    def _look(self, now: float) -> None:
        # On its own: while this thread sleeps, no variable of it holds a wait, and with it the references.
        for wait in list(self.by_thread.values()):
            if wait.timeout_s is None and now >= wait.when and wait.error is None:
                self._look_into(wait)

    def _look_into(self, wait: Wait) -> None:
        # Seldom needed.
        from raynb.runtime.client.inquiry import Inquiry

        try:
            inquiry = Inquiry(self._client)
            missing = [ref for ref in wait.refs if not self._client.is_ready(ref)]
            for ref in missing[:LOOKED_INTO_MAX]:
                found = inquiry.circle(ref._id) and inquiry.circle(ref._id)
                if found is not None:
                    wait.error = DeadlockError(str(found))
                    self.broken = True
                    self._client.host.nudge()
                    return
        except Exception:
            log.exception("raynb: a wait could not be looked into")
        finally:
            wait.patience_s = min(2 * wait.patience_s, PATIENCE_S_MAX)
            wait.when = time.monotonic() + wait.patience_s
