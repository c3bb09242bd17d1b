"""The I/O thread of a client: it alone owns the sockets and the machine.

User threads append to ``inbox`` and wait; this thread drains it, hands it to the machine as one event, and carries out
the effects. It sleeps in one call, and says so beforehand, so that a thread that appends knows whether to wake it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from raynb.runtime.adapters.transport import Transport
from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.client_effects import Blocked, Foreign, Forget, Frames, Notice
from raynb.runtime.core.effects import Send, Tick
from raynb.runtime.core.inbox import Inbox, NodeManagerDied
from raynb.runtime.core.ownership import Wake
from raynb.runtime.messages import Message

log = logging.getLogger("raynb")

IDLE_TURN_S = 0.25
"""An idle client looks this often for references that were dropped without waking it."""


class ClientHost:
    """Runs a `ClientMachine`.

    Parameters
    ----------
    transport, machine
        Touched by the I/O thread alone from `start` on.
    on_foreign
        Called in the I/O thread with (sender, message) for what is not the machine's.
    on_blocked
        Called in the I/O thread when the first thread begins to wait, and when the last one goes on.
    on_notice
        Called in the I/O thread with a text for the person.
    on_process_died
        Called in the I/O thread with the address of a dead process.
    """

    def __init__(
        self,
        transport: Transport,
        machine: ClientMachine,
        *,
        on_foreign: Callable[[str, Message], None],
        on_blocked: Callable[[bool], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        on_process_died: Callable[[str], None] | None = None,
    ) -> None:
        self.transport = transport
        self.machine = machine
        self.inbox: deque[object] = deque()
        self._sleeping = False
        self._next_tick = 0.0
        self._stopping = threading.Event()
        self._last_words: Callable[[], None] | None = None
        self._deferred: deque[Callable[[], None]] = deque()
        self._on_foreign = on_foreign
        self._on_notice = on_notice or log.warning
        self._on_blocked = on_blocked or (lambda blocked: None)
        self._on_process_died = on_process_died or (lambda address: None)
        self.turn_limit_s: Callable[[], float | None] = lambda: None
        """Asked before each sleep: how long it may be at most (None: no matter)."""
        self.on_turn: Callable[[], None] = lambda: None
        """Called after each turn, in the I/O thread."""
        self.on_crash: Callable[[], None] = lambda: None
        """Called in the I/O thread when an error in raynb has ended it."""
        self._thread = threading.Thread(target=self._run, name="raynb-io", daemon=True)

    # -- from any thread

    def start(self) -> None:
        self._thread.start()

    def post(self, item: object) -> None:
        """Tell the machine something, and have it look soon."""
        self.inbox.append(item)
        if self._sleeping:
            self._sleeping = False
            self.transport.wake()

    def call(self, function: Callable[[], None]) -> None:
        """Have the I/O thread call a function (one that needs the transport, say)."""
        self._deferred.append(function)
        self.transport.wake()

    def stop(self, last_words: Callable[[], None] | None = None, timeout_s: float = 2.0) -> None:
        """End the I/O thread. ``last_words`` runs in it after all that was posted before."""
        self._last_words = last_words
        self._stopping.set()
        self.transport.wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    @property
    def io_waits(self) -> bool:
        """Whether the I/O thread has nothing to do just now: a good moment to give it something."""
        return self._sleeping

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def node_manager_died(self, reason: str) -> None:
        """To be called in the I/O thread (by a watched descriptor's callback)."""
        self._perform(self.machine.handle(NodeManagerDied(reason), time.monotonic()))

    # -- the I/O thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
            self._drain(time.monotonic())
            if self._last_words is not None:
                self._last_words()
        except BaseException:
            log.exception("raynb's I/O thread ended by an error in raynb")
            self._perform(self.machine.handle(NodeManagerDied("an error in raynb's I/O thread"), time.monotonic()))
            self.on_crash()
        finally:
            self.transport.close()

    def _turn(self) -> None:
        machine = self.machine
        now = time.monotonic()
        self._drain(now)
        self._sleeping = True
        if self.inbox or self._deferred or self._stopping.is_set():
            timeout = 0.0
        elif machine.idle:
            timeout = IDLE_TURN_S
        else:
            timeout = max(self._next_tick - now, 0.0)
        limit = self.turn_limit_s()
        if limit is not None and limit < timeout:
            timeout = limit
        received = self.transport.receive(timeout)
        self._sleeping = False
        if received:
            self._perform(machine.handle(Frames(received), time.monotonic()))
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + machine.config.tick_s
            self.tick(now)
        self.on_turn()

    def tick(self, now: float) -> None:
        """Give the machine a tick; in the I/O thread."""
        self._perform(self.machine.handle(Tick(), now))

    def _drain(self, now: float) -> None:
        while self._deferred:
            self._deferred.popleft()()
        inbox = self.inbox
        if inbox:
            # As many as there are now: a thread that keeps appending must not keep us here.
            items = [inbox.popleft() for _ in range(len(inbox))]
            self._perform(self.machine.handle(Inbox(items), now))

    def _perform(self, effects: list[Any]) -> None:
        send = self.transport.send
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                send(effect.to, effect.message)
            elif kind is Wake:
                effect.waiter.wake()
            elif kind is Foreign:
                self._on_foreign(effect.sender, effect.message)
            elif kind is Blocked:
                self._on_blocked(effect.blocked)
            elif kind is Forget:
                self.transport.forget(effect.address)
                self._on_process_died(effect.address)
            elif kind is Notice:
                self._on_notice(effect.text)
            else:
                raise AssertionError(f"no host for the effect {effect!r}")
