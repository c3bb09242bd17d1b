"""User threads as generators: what they wait for is yielded, and the world decides when they go on.

A thread may be stopped at each ``yield``, so whatever stands between two of them happens at once, as a few lines of
Python do under the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from tests.sim.world import Violation, World

Steps = Generator[Any, Any, Any]
"""What a thread does. It yields a `Pause` or a `Lock` (then it is sent whether it got it)."""
CLOCK_TICK_S: Final = 1e-9
"""A wait takes as long at least: less than a clock shows, added to a time, may be that time again."""


class Pause:
    """Do nothing for some seconds; 0: let others run."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds


class Lock:
    """A lock that is taken already. ``yield lock.acquire(timeout)`` waits until somebody releases it."""

    __slots__ = ("_free", "_thread", "_ticket", "timeout_s")

    def __init__(self) -> None:
        self._free = False
        self._thread: Thread | None = None
        self._ticket = 0
        self.timeout_s: float | None = None

    def acquire(self, timeout_s: float | None = None) -> Lock:
        """To be yielded."""
        self.timeout_s = timeout_s
        return self

    def release(self) -> None:
        """From any thread. Releasing a lock twice is an error, as it is with a real one."""
        if self._free:
            raise Violation("a waiting thread was woken twice")
        self._free = True
        thread = self._thread
        if thread is not None:
            thread.world.after(thread.world.soon(), self._try, thread, self._ticket, True)

    def begin(self, thread: Thread) -> None:
        """The thread stands here now."""
        self._ticket += 1
        self._thread = thread
        if self._free:
            thread.world.after(0.0, self._try, thread, self._ticket, True)
        elif self.timeout_s is not None:
            thread.world.after(max(self.timeout_s, CLOCK_TICK_S), self._try, thread, self._ticket, False)

    def _try(self, thread: Thread, ticket: int, got: bool) -> None:
        if ticket != self._ticket or self._thread is not thread:
            return
        self._thread = None
        if self._free:
            got, self._free = True, False
        thread.resume(got)

    def leave(self) -> None:
        """The thread was interrupted while it stood here."""
        self._ticket += 1
        self._thread = None


class Signal:
    """A condition that many may wait for: ``yield signal``; `notify` lets all of them look again."""

    __slots__ = ("_threads",)

    def __init__(self) -> None:
        self._threads: list[Thread] = []

    def begin(self, thread: Thread) -> None:
        self._threads.append(thread)

    def notify(self) -> None:
        waiting, self._threads = self._threads, []
        for thread in waiting:
            thread.world.after(thread.world.soon(), thread.go_on, self)

    def leave(self, thread: Thread) -> None:
        if thread in self._threads:
            self._threads.remove(thread)


class Thread:
    """One thread of a simulated process; it ends with it."""

    def __init__(self, world: World, process: Any, name: str, steps: Steps) -> None:
        self.world = world
        self.process = process
        self.name = name
        self.done = False
        self.at: Any = None
        """What it waits for."""
        self._steps = steps
        self._ticket = 0
        world.after(world.soon(), self.resume, None)

    def __repr__(self) -> str:
        return f"<Thread {self.name} {'done' if self.done else f'at {type(self.at).__name__}'}>"

    def go_on(self, at: Any) -> None:
        """Go on, if it still is there."""
        if self.at is at:
            self.resume(None)

    def _after_pause(self, ticket: int) -> None:
        if ticket == self._ticket:
            self.resume(None)

    def resume(self, value: Any, error: BaseException | None = None) -> None:
        """Run to the next ``yield``."""
        if self.done or not self.process.alive:
            return
        self._ticket += 1
        self.at = None
        try:
            what = self._steps.throw(error) if error is not None else self._steps.send(value)
        except StopIteration:
            self.done = True
            return
        self.at = what
        if isinstance(what, Pause):
            delay_s = what.seconds if what.seconds > 0 else self.world.soon()
            self.world.after(delay_s, self._after_pause, self._ticket)
        else:
            what.begin(self)

    def interrupt(self, error: BaseException) -> None:
        """Raise an error in it, wherever it stands: what a signal does."""
        at = self.at
        if isinstance(at, Lock):
            at.leave()
        elif isinstance(at, Signal):
            at.leave(self)
        self.resume(None, error)
