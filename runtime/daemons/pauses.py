"""How long to wait before something that died is started again."""

from __future__ import annotations

from typing import Final

SHORT_LIFE_S: Final = 5.0
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 5.0


class Pauses:
    """No pause after a death; doubling ones as long as lives are short."""

    def __init__(self) -> None:
        self._started = float("-inf")
        self._short_lives = 0
        self._pause_s = 0.0
        self._died = 0.0
        self._dead = False

    def started(self, now: float) -> None:
        """It was started."""
        self._started = now
        self._dead = False

    def over(self, now: float) -> bool:
        """Whether it may be started again; to be asked while it is dead."""
        if not self._dead:
            self._dead = True
            self._short_lives = self._short_lives + 1 if now - self._started < SHORT_LIFE_S else 0
            exponent = min(self._short_lives - 2, 10)
            self._pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2**exponent) if self._short_lives > 1 else 0.0
            self._died = now
        return now - self._died >= self._pause_s
