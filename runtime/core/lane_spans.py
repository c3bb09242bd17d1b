"""Spans of time in lanes, joined where they are too short to be told apart.

Rules
-----
* What is shorter than a *step* and begins in the same step of its lane is one entry: it lasts from the first to the
  last of them, is named after what took longest, counts them all, and has failed if one has.
* At most ``entries_max`` entries: beyond that, steps become twice as long and entries are joined further. Nothing is
  left out.
* What is shown joins neighbours of one name, too, where less than a step is between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from raynb.runtime.messages.events import FAILED

LANE_BITS: Final = 40
"""Lane and step in one number."""


@dataclass(slots=True)
class Span:
    """One task (or whatever else takes time), or several. Times in seconds.

    Attributes
    ----------
    busy
        How long those of its name took.
    task
        Its id, where it is one; else empty.
    size
        Bytes that it is about, of all of them.
    what
        What it stands for, where it is one.
    """

    lane: int
    start: float
    end: float
    name: int
    state: int
    count: int
    task: bytes
    busy: float
    size: int = 0
    what: object = None

    def take(self, other: Span) -> None:
        """Be one with another of the same lane."""
        self.start = min(self.start, other.start)
        self.end = max(self.end, other.end)
        if other.name == self.name:
            self.busy += other.busy
        elif other.busy > self.busy:
            self.name, self.busy = other.name, other.busy
        if FAILED in (self.state, other.state):
            self.state = FAILED
        self.count += other.count
        self.size += other.size
        self.task, self.what = b"", None


class LaneSpans:
    """See the module's rules.

    Parameters
    ----------
    start, step
        Where steps are counted from, and how long they are at first.
    """

    def __init__(self, start: float, step: float, entries_max: int) -> None:
        self._start = start
        self.step = step
        self._entries_max = max(1, entries_max)
        self._short: dict[int, Span] = {}
        self._long: list[Span] = []

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def add(self, span: Span) -> None:
        """Take in another one, which belongs to this from now on."""
        self._put(span)
        while len(self) > self._entries_max:
            self.widen()
            if self.step > 1e12:  # more lanes than entries
                break

    def _put(self, span: Span) -> None:
        if span.end - span.start >= self.step:
            self._long.append(span)
            return
        key = span.lane << LANE_BITS | max(0, int((span.start - self._start) / self.step))
        known = self._short.get(key)
        if known is None:
            self._short[key] = span
        else:
            known.take(span)

    def widen(self) -> None:
        """Steps twice as long."""
        self.step *= 2
        spans = [*self._short.values(), *self._long]
        self._short, self._long = {}, []
        for span in spans:
            self._put(span)

    def shown(self) -> Iterator[Span]:
        """Sorted by lane and start; not to be changed."""
        last: Span | None = None
        joined = False
        for span in sorted([*self._short.values(), *self._long], key=lambda span: (span.lane, span.start)):
            if last is None:
                last = span
            elif self._joins(last, span):
                if not joined:
                    last, joined = replace(last), True
                last.take(span)
            else:
                yield last
                last, joined = span, False
        if last is not None:
            yield last

    def _joins(self, last: Span, span: Span) -> bool:
        same = span.lane == last.lane and span.name == last.name and span.state == last.state
        return same and self._is_short(last) and self._is_short(span) and span.start - last.end < self.step

    def _is_short(self, span: Span) -> bool:
        return span.count > 1 or span.end - span.start < self.step
