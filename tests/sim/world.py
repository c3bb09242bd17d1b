"""Virtual time. Everything that happens in a simulated cluster is an entry of one heap, and one seed orders it.

Nothing here knows processes or messages. Two runs with the same seed do the same steps in the same order, so whatever
goes wrong can be looked at as often as it takes.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from tests.sim.show import shown

LOG_LINES_MAX = 6000
STEPS_BETWEEN_LOOKS = 16


class Violation(AssertionError):
    """A promise was broken. The message says which one."""


class World:
    """The clock, the dice, and the log of what happened.

    Parameters
    ----------
    seed
        Of everything that is left to chance while it runs (not of the workload, which is data).
    digest
        Whether to sum the log up (`summary`), to compare runs.
    """

    def __init__(self, seed: int, *, digest: bool = False) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.steps = 0
        self.log: deque[tuple[float, str, str, Any]] = deque(maxlen=LOG_LINES_MAX)
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._digest = digest
        self.summary = 0

    def at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have something happen at a time."""
        self._count += 1
        heappush(self._heap, (when, self._count, action, arguments))

    def after(self, delay_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Have something happen in so many seconds."""
        self._count += 1
        heappush(self._heap, (self.now + delay_s, self._count, action, arguments))

    def step(self) -> bool:
        """Do the next thing; False if there is none."""
        if not self._heap:
            return False
        when, _, action, arguments = heappop(self._heap)
        if when > self.now:
            self.now = when
        self.steps += 1
        action(*arguments)
        return True

    def run(self, until_s: float, done: Callable[[], bool], steps_max: int = 400_000) -> bool:
        """Go on until ``done()`` or until a time; says whether it is done."""
        limit = self.steps + steps_max
        heap = self._heap
        while not done():
            # It costs more than a step does, so not after each.
            for _ in range(STEPS_BETWEEN_LOOKS):
                if not heap or heap[0][0] > until_s:
                    self.now = max(self.now, until_s) if heap else self.now
                    return done()
                self.step()
            if self.steps > limit:
                raise Violation(f"{steps_max} steps and no end: somebody runs in circles")
        return True

    # -- chance

    def between(self, least_s: float, most_s: float) -> float:
        """Seconds, evenly spread."""
        return least_s + (most_s - least_s) * self.rng.random()

    def soon(self) -> float:
        """What it takes a thread to go on: mostly microseconds, sometimes until another lets the interpreter go."""
        dice = self.rng.random()
        if dice < 0.90:
            return 2e-6 + 60e-6 * self.rng.random()
        if dice < 0.99:
            return 1e-3 * self.rng.random()
        return 8e-3 * self.rng.random()

    # -- the log

    def note(self, who: str, what: str, about: Any = "") -> None:
        """A line of the log. ``about`` is made readable when it is shown."""
        self.log.append((self.now, who, what, about))
        if self._digest:
            self.summary = zlib.crc32(f"{self.now:.9f} {who} {what} {shown(about)}".encode(), self.summary)

    def story(self, lines: int = 200) -> str:
        """The end of the log, for people."""
        last = list(self.log)[-lines:]
        return "\n".join(f"{when * 1000:11.3f} ms  {who:9s} {what} {shown(about)}" for when, who, what, about in last)
