"""Parts of tasks' times that programs have asked to be timed: the newest, for the timeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.messages.events import Span, Spans

SPANS_MAX: Final = 100_000


class SpanTable:
    """What all processes have timed, in the order in which it came."""

    def __init__(self) -> None:
        self._told: deque[Spans] = deque()
        self._count = 0
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<SpanTable {self._count} spans, {self.dropped} dropped>"

    def take(self, sender: str, message: Spans, now: float) -> Effects:
        """Keep these, in the place of the oldest."""
        self._told.append(message)
        self._count += len(message.spans)
        while self._count > SPANS_MAX:
            gone = len(self._told.popleft().spans)
            self._count -= gone
            self.dropped += gone
        return []

    def __iter__(self) -> Iterator[tuple[Spans, Span]]:
        """Each with the message that it came in, which says whose it is."""
        return ((message, span) for message in self._told for span in message.spans)
