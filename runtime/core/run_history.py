"""The cluster in a few numbers, as it was all along: for the overview of a run, and for the scrubber.

Rules
-----
* A sample is taken when something countable has changed, at most every `pause_s`.
* At most `SAMPLES_MAX` are kept: then every other one is dropped, and the pause becomes twice as long. So a long run is
  known throughout, the more coarsely the longer it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from raynb.runtime.messages.screen import SummaryState

SAMPLES_MAX: Final = 1000
PAUSE_S: Final = 0.25
COST_PAUSE_S: Final = 100e-6
"""Per row that a sample looks at: so it takes a hundredth of the time at most."""


class RunHistory:
    """See the module's rules. Times are wall-clock seconds."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, SummaryState]] = []
        self.pause_s = PAUSE_S
        self._due = 0.0
        self._seen = 0

    def __repr__(self) -> str:
        return f"<RunHistory {len(self.samples)} samples, every {self.pause_s:g} s>"

    def tick(self, wall: float, changes: int, look: Callable[[], tuple[SummaryState, int]]) -> None:
        """Take a sample if one is due. ``look`` gives the numbers and how many rows it has looked at for them."""
        if wall < self._due or changes == self._seen:
            return
        self._seen = changes
        state, cost = look()
        self._due = wall + max(self.pause_s, cost * COST_PAUSE_S)
        if self.samples and _counts(self.samples[-1][1]) == _counts(state):
            return
        self.samples.append((wall, state))
        if len(self.samples) > SAMPLES_MAX:
            del self.samples[1:-1:2]
            self.pause_s *= 2

    def at(self, wall: float) -> SummaryState | None:
        """The numbers at a moment; None before the first."""
        number = bisect_right(self.samples, wall, key=lambda sample: sample[0])
        return self.samples[number - 1][1] if number else None


def _counts(state: SummaryState) -> tuple[object, ...]:
    return (
        *(state.nodes, state.cpus_used, state.cpus_total, state.objects, state.drivers, state.actors_alive),
        *(state.tasks_waiting, state.tasks_running, state.tasks_finished, state.tasks_failed),
    )
