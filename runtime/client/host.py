"""Runs a client's machine and its sockets: one thread at a time, whoever has the *seat*.

User threads append to ``inbox`` and wait. As a rule the I/O thread has the seat: it drains the inbox, hands it to the
machine as one event, carries out the effects, and sleeps in one call, saying so beforehand, so that a thread that
appends knows whether to wake it.

A thread that has nothing to do but wait (a blocking ``get``, an idle worker) may take the seat itself (`drive`): a
call in turn then costs no switch of threads on its way out and none on its way back. When such a guest leaves, the
I/O thread leaves the seat free for a millisecond, for the next call in turn; whatever arrives meanwhile waits at most
that long.

A guest in the main thread must not be interrupted in the middle of a step: for its time there SIGINT only makes it
leave the seat, and then is handled as it would have been.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.client_effects import Blocked, Foreign, Forget, Frames, Notice, OutOfScope, Retried, Unhandled
from raynb.runtime.core.effects import Send, Tick
from raynb.runtime.core.inbox import Inbox, NodeManagerDied
from raynb.runtime.core.waiters import Wake
from raynb.runtime.messages import Message

if TYPE_CHECKING:
    from raynb.runtime.adapters.transport import Transport

log = logging.getLogger("raynb")

T = TypeVar("T")

IDLE_TURN_S = 0.25
"""An idle client looks this often for references that were dropped without waking it."""

PARK_S = 0.001
"""How long the seat stays free for the guest that has left it."""

DEEP_S = 0.005
"""After a guest has had the seat for so long the I/O thread sleeps until it leaves."""


class ClientHost:
    """Runs a `ClientMachine`.

    Parameters
    ----------
    transport, machine
        Touched only by the thread that has the seat, from `start` on.
    on_foreign
        Called in the seat with (sender, message) for what is not the machine's.
    on_blocked
        Called in the seat when the first thread begins to wait, and when the last one goes on (see `Blocked`).
    on_notice
        Called in the seat with a text for the person.
    on_process_died
        Called in the seat with the address of a dead process.
    """

    def __init__(
        self,
        transport: Transport,
        machine: ClientMachine,
        *,
        on_foreign: Callable[[str, Message], None],
        on_blocked: Callable[[bool, bool], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        on_process_died: Callable[[str], None] | None = None,
    ) -> None:
        self.transport = transport
        self.machine = machine
        self.inbox: deque[object] = deque()
        self.turn_limit_s: Callable[[], float | None] = lambda: None
        """Asked before each sleep: how long it may be at most (None: no matter)."""
        self.on_turn: Callable[[], None] = lambda: None
        """Called after each turn, in the seat."""
        self.on_received: Callable[[list[tuple[str, Message]]], None] = lambda received: None
        """Called in the seat before messages are handled; what it posts is handled before them."""
        self.on_failure: Callable[[Retried | Unhandled], None] = lambda found: None
        """Called in the seat with attempts that are followed by others, and with what nobody has looked at."""
        self.on_out_of_scope: Callable[[bytes], None] = lambda oid: None
        """Called in the seat with an object that is gone, and was to be told."""
        self.on_crash: Callable[[], None] = lambda: None
        """Called when an error in raynb has ended it."""
        self._on_foreign = on_foreign
        self._on_notice = on_notice or log.warning
        self._on_blocked = on_blocked or (lambda blocked, briefly: None)
        self._on_process_died = on_process_died or (lambda address: None)
        self._seat = threading.Lock()
        self._wanted = False
        self._guest_since = 0.0
        self._guest_left = 0.0
        self._interrupted = False
        self._parked_deep = False
        self._vacated = threading.Event()
        self._sleeping = False
        self._next_tick = 0.0
        self._stopping = threading.Event()
        self._last_words: Callable[[], None] | None = None
        self._calls: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._run, name="raynb-io", daemon=True)

    # -- from any thread

    def start(self) -> None:
        self._thread.start()

    def post(self, item: object) -> None:
        """Tell the machine something, and have it look soon."""
        self.inbox.append(item)
        if self._sleeping:
            self.nudge()

    def nudge(self) -> None:
        """Have the inbox looked at soon."""
        if self._sleeping:
            self._sleeping = False
            self.transport.wake()

    def call(self, function: Callable[[], None]) -> None:
        """Have the thread in the seat call a function (one that needs the transport, say)."""
        self._calls.append(function)
        self.transport.wake()

    def run(self, function: Callable[[], T], timeout_s: float) -> T | None:
        """`call`, and wait for what the function gives; None if it was not called in time."""
        lock = threading.Lock()
        lock.acquire()
        given: list[T] = []

        def called() -> None:
            try:
                given.append(function())
            finally:
                lock.release()

        self.call(called)
        lock.acquire(timeout=timeout_s)
        return given[0] if given else None

    def stop(self, last_words: Callable[[], None] | None = None, timeout_s: float = 2.0) -> None:
        """End the I/O thread. ``last_words`` runs in the seat after all that was posted before."""
        self._last_words = last_words
        self._stopping.set()
        self._vacated.set()
        self.transport.wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    @property
    def io_waits(self) -> bool:
        """Whether whoever has the seat has nothing to do just now: a good moment to give it something."""
        return self._sleeping

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def node_manager_died(self, reason: str) -> None:
        """To be called in the seat (by a watched descriptor's callback)."""
        self._perform(self.machine.handle(NodeManagerDied(reason), time.monotonic()))

    # -- guests

    def drive(self, until: Callable[[], bool], deadline: float | None = None, *, insist: bool = False) -> bool:
        """Take the seat, and run the machine until something holds, the deadline (monotonic) passes, or a signal comes.

        Parameters
        ----------
        insist
            Have the I/O thread give the seat up if it is there.

        Returns
        -------
        bool
            False if the seat is taken: then wait in another way.
        """
        __tracebackhide__ = True
        if threading.current_thread() is not threading.main_thread():
            return self._drive(until, deadline, insist)
        previous = signal.getsignal(signal.SIGINT)
        if not callable(previous):
            return self._drive(until, deadline, insist)
        try:
            signal.signal(signal.SIGINT, self._on_signal)
            return self._drive(until, deadline, insist)
        finally:
            # The seat has been left by now, so an exception raised from here on does no harm.
            signal.signal(signal.SIGINT, previous)
            if self._interrupted:
                self._interrupted = False
                previous(signal.SIGINT, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        self.transport.wake()

    def _drive(self, until: Callable[[], bool], deadline: float | None, insist: bool) -> bool:
        __tracebackhide__ = True
        if not self._seat.acquire(blocking=False):
            if not insist:
                return False
            self._wanted = True
            self.transport.wake()
            self._seat.acquire()
            self._wanted = False
        self._guest_since = time.monotonic()
        try:
            self._drain(self._guest_since)
            while not until() and not self._stopping.is_set() and not self._interrupted:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._turn(left)
        except Exception:
            self._crash()
            raise
        finally:
            self._guest_since = 0.0
            self._guest_left = time.monotonic()
            self._seat.release()
            if self._parked_deep:
                self._parked_deep = False
                self._vacated.set()
        return True

    # -- the I/O thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                now = time.monotonic()
                if self._guest_since or now - self._guest_left < PARK_S:
                    self._park(now)
                    continue
                with self._seat:
                    while not (self._stopping.is_set() or self._wanted):
                        self._turn(None)
                        if time.monotonic() - self._guest_left < PARK_S:
                            break
                if self._wanted:
                    self._park(time.monotonic())
            with self._seat:
                self._drain(time.monotonic())
                if self._last_words is not None:
                    self._last_words()
        except BaseException:
            self._crash()
        finally:
            with self._seat:
                self.transport.close()

    def _park(self, now: float) -> None:
        """Leave the seat to a guest: look again in a millisecond, or, if it stays long, when it leaves."""
        since = self._guest_since
        if since and now - since > DEEP_S:
            self._vacated.clear()
            self._parked_deep = True
            if self._guest_since and not self._stopping.is_set():
                self._vacated.wait(1.0)
        else:
            self._vacated.clear()
            self._vacated.wait(PARK_S)

    def _crash(self) -> None:
        log.exception("raynb's I/O thread ended by an error in raynb")
        self._stopping.set()
        self._perform(self.machine.handle(NodeManagerDied("an error in raynb's I/O thread"), time.monotonic()))
        self.on_crash()

    # -- in the seat

    def _turn(self, limit_s: float | None) -> None:
        machine = self.machine
        now = time.monotonic()
        self._drain(now)
        self._sleeping = True
        if self.inbox or self._calls or self._stopping.is_set() or self._wanted:
            timeout = 0.0
        elif machine.idle:
            timeout = IDLE_TURN_S
        else:
            timeout = max(self._next_tick - now, 0.0)
        for limit in (limit_s, self.turn_limit_s()):
            if limit is not None and limit < timeout:
                timeout = limit
        received = self.transport.receive(timeout)
        self._sleeping = False
        now = time.monotonic()
        if received:
            self.on_received(received)
            self._drain(now)
            self._perform(machine.handle(Frames(received), now))
        if now >= self._next_tick:
            self._next_tick = now + machine.config.tick_s
            self.tick(now)
        self.on_turn()

    def tick(self, now: float) -> None:
        """Give the machine a tick; in the seat."""
        self._perform(self.machine.handle(Tick(), now))

    def _drain(self, now: float) -> None:
        while self._calls:
            self._calls.popleft()()
        self.read_inbox(now)

    def read_inbox(self, now: float) -> None:
        """Have the machine handle what has been posted so far; in the seat."""
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
                if threading.current_thread() is self._thread:
                    # Who was woken may want the seat for its next call.
                    self._guest_left = time.monotonic()
            elif kind is Foreign:
                self._on_foreign(effect.sender, effect.message)
            elif kind is Blocked:
                self._on_blocked(effect.blocked, effect.briefly)
            elif kind is Forget:
                self.transport.forget(effect.address)
                self._on_process_died(effect.address)
            elif kind is Notice:
                self._on_notice(effect.text)
            elif kind is Unhandled or kind is Retried:
                self.on_failure(effect)
            elif kind is OutOfScope:
                self.on_out_of_scope(effect.oid)
            else:
                raise AssertionError(f"no host for the effect {effect!r}")
