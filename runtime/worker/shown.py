"""What ``ps`` shows for a worker, in Ray's words: ``ray::IDLE``, ``ray::f``, ``ray::Actor``, ``ray::Actor.method``."""

from __future__ import annotations

import time
from typing import Final

from raynb.runtime.adapters.title import Title

REST_AFTER_S: Final = 0.02
"""What ran last is still shown for so long: a worker that is given one short task after the other shows it all along,
and spends nothing on that."""


class ShownTask:
    """Which task this process shows, and what when there is none."""

    def __init__(self) -> None:
        self._title = Title()
        self._at_rest = "IDLE"
        self._shown = ""
        self.rest()

    def __repr__(self) -> str:
        return f"<ShownTask {self._shown}>"

    def runs(self, name: str) -> None:
        """A task of that name begins."""
        if name != self._shown:
            self._shown = name
            self._title.show(f"ray::{name}")

    def is_actor(self, name: str) -> None:
        """From now on it is an actor of a class of that name."""
        self._at_rest = name

    def rest(self) -> None:
        """Nothing runs."""
        self.runs(self._at_rest)

    def due_in_s(self, ended: float) -> float | None:
        """When to `rest`, if the last task ended then (monotonic) and none follows; None: it does."""
        if self._shown == self._at_rest:
            return None
        return max(ended + REST_AFTER_S - time.monotonic(), 0.0)
