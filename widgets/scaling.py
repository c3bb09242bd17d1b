"""How many CPUs a cluster should have for what it has to do: a pure policy.

Rules
-----
1. Never fewer than the minimum, never more than the maximum.
2. *Up* when work waits for a CPU and all are taken: by as many as wait, at most to twice as many, and not again before
   the last step has had `SETTLE_S` to show what it does.
3. *Down* only after `IDLE_S` in which nothing waited: to the most that were in use during that time.

Work that waits for something else than a CPU (a GPU, another's result) leaves CPUs free, so it makes nothing grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SETTLE_S = 2.0
IDLE_S = 10.0


@dataclass(frozen=True)
class Load:
    """A cluster at one moment.

    Attributes
    ----------
    cpus, used
        CPUs that there are, and those that tasks and actors hold.
    waiting
        Tasks and actors that have all their inputs, and no CPU.
    """

    cpus: float
    used: float
    waiting: int


class Adaptation:
    """The policy between two bounds; remembers what it has seen.

    Raises
    ------
    ValueError
        The bounds make no sense.
    """

    def __init__(self, minimum: int, maximum: int) -> None:
        if not 1 <= minimum <= maximum:
            raise ValueError(f"adapt() needs 1 <= minimum <= maximum, not minimum={minimum} and maximum={maximum}")
        self.minimum = minimum
        self.maximum = maximum
        self._stepped_at = -math.inf
        self._idle_since: float | None = None
        self._used_most = 0.0

    def step(self, load: Load, now: float) -> int | None:
        """How many CPUs there should be from now on; None: as many as there are."""
        wanted = self._wanted(load, now)
        if wanted is None or wanted == load.cpus:
            return None
        self._stepped_at = now
        self._idle_since = None
        return wanted

    def _wanted(self, load: Load, now: float) -> int | None:
        if load.waiting:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since, self._used_most = now, load.used
        else:
            self._used_most = max(self._used_most, load.used)
        if not self.minimum <= load.cpus <= self.maximum:
            return self.minimum if load.cpus < self.minimum else self.maximum
        if load.waiting and load.used >= load.cpus and now - self._stepped_at >= SETTLE_S:
            return min(self.maximum, math.floor(load.cpus + min(load.waiting, load.cpus)))
        if self._idle_since is not None and now - self._idle_since >= IDLE_S:
            fewer = max(self.minimum, math.ceil(self._used_most))
            self._idle_since, self._used_most = now, load.used
            return fewer if fewer < load.cpus else None
        return None
