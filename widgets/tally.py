"""How far some objects are: counts by function, the rate, the time that is left, and what failed.

Rules
-----
1. Counts are exact: each reference is counted once, in one state. *Done* and *failed* are read from the client's table
   of objects, which any thread may; what *runs* is told by `raynb.runtime.core.running`; the rest *waits*.
2. A look costs in proportion to what has no value yet, and what it gives is bounded: `BARS_MAX` functions, those with
   most calls, and the sum of the others; `FAILURES_MAX` kinds of failures, each with one traceback.
3. A reference is held until it has settled, so that its outcome is not lost, and no longer: a tally pins no results.

It has no clock and no thread: the time comes in.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.ownership import Entry
from raynb.runtime.core.task import Task
from raynb.runtime.messages.values import Failed
from raynb.widgets import text

BARS_MAX = 12
FAILURES_MAX = 10
RATE_WINDOW_S = 10.0

_NUMBER = re.compile(r"\d+")

PUT = "(put)"
BORROWED = "(made by other processes)"


@dataclass
class Counts:
    """References by state."""

    done: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        return self.done + self.failed + self.running + self.waiting

    @property
    def settled(self) -> int:
        return self.done + self.failed

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.done + other.done,
            self.failed + other.failed,
            self.running + other.running,
            self.waiting + other.waiting,
        )

    def words(self) -> str:
        """``30 of 60, 2 failed, 4 running``."""
        parts = [f"{text.count(self.done)} of {text.count(self.total)}"]
        parts += [f"{text.count(n)} {what}" for n, what in ((self.failed, "failed"), (self.running, "running")) if n]
        return ", ".join(parts)


@dataclass
class Bar(Counts):
    """One function's."""

    name: str = ""


@dataclass
class Failure:
    """Calls of one function that failed in the same words; the first one's stand for all."""

    name: str
    error: str
    count: int
    text: str


@dataclass(frozen=True)
class Snapshot:
    """What a tally saw at one moment.

    Attributes
    ----------
    others, others_count
        The sum of the functions without a bar, and how many they are.
    rate
        Settled a second, lately; None before the first.
    eta_s
        Seconds until all have settled, by that rate.
    failures_more
        Failed calls that `failures` does not have.
    """

    bars: Sequence[Bar]
    others: Counts
    others_count: int
    total: Counts
    elapsed_s: float
    rate: float | None
    eta_s: float | None
    failures: Sequence[Failure] = ()
    failures_more: int = 0

    @property
    def settled(self) -> bool:
        return self.total.settled == self.total.total


@dataclass
class _Failures:
    """By function and error, whatever the numbers in it; the first traceback stands for all."""

    groups: dict[tuple[str, str], Failure] = field(default_factory=dict)
    more: int = 0

    def add(self, name: str, failed: Failed) -> None:
        error = text.line(_last_line(failed), 200)
        kind = _NUMBER.sub("0", error)
        group = self.groups.get((name, kind))
        if group is not None:
            group.count += 1
        elif len(self.groups) < FAILURES_MAX:
            self.groups[name, kind] = Failure(name, error, 1, failed.message)
        else:
            self.more += 1


def _last_line(failed: Failed) -> str:
    if failed.kind != "RayTaskError":
        return f"{failed.kind}: {failed.message.strip().partition(chr(10))[0]}"
    return failed.message.strip().rpartition("\n")[2]


class Tally:
    """See the module's rules.

    Parameters
    ----------
    entries
        The client's table of objects.
    now
        Monotonic seconds.
    saw
        Told of each failure that is shown: nobody else has to tell it.
    """

    def __init__(
        self, entries: Mapping[bytes, Entry], now: float, saw: Callable[[Failed], None] = lambda failed: None
    ) -> None:
        self._entries = entries
        self._saw = saw
        self._began = now
        self._fresh: dict[bytes, ObjectRef[Any]] = {}
        """Submitted so lately that the client has not looked at them: who makes them is not known yet."""
        self._pending: dict[bytes, ObjectRef[Any]] = {}
        self._seen: set[bytes] = set()
        self._bars: dict[str, Bar] = {}
        self._failures = _Failures()
        self._history: deque[tuple[float, int]] = deque()
        self._settled_before = 0

    def add(self, refs: Iterable[ObjectRef[Any]], now: float) -> None:
        """Count these, too; those that are counted already don't count twice."""
        for ref in refs:
            if ref._id not in self._seen:
                self._seen.add(ref._id)
                self._fresh[ref._id] = ref
        # What has settled before it was looked at says nothing about the rate.
        self._settled_before += self._place()
        self._history.append((now, self._counted()))

    def let_go(self) -> None:
        """Hold nothing any more; the counts stay."""
        for held in (self._fresh, self._pending, self._seen):
            held.clear()

    def is_over(self) -> bool:
        """Whether all have settled: quicker than a look."""
        # Most settle in order, so that it ends with the first one.
        return all(map(self._has_settled, chain(self._fresh, self._pending)))

    def look(self, running: Iterable[Task], now: float) -> Snapshot:
        """The counts as of now.

        Parameters
        ----------
        running
            Tasks that run, these and others.
        """
        self._place()
        self._collect()
        for bar in self._bars.values():
            bar.waiting += bar.running
            bar.running = 0
        for task in running:
            for oid in task.return_ids():
                if oid in self._pending:
                    bar = self._bar_of(self._entries[oid])
                    bar.running += 1
                    bar.waiting -= 1
        return self._snapshot(now)

    def _has_settled(self, oid: bytes) -> bool:
        entry = self._entries.get(oid)
        return entry is not None and entry.value is not None

    def _bar_of(self, entry: Entry) -> Bar:
        function = entry.function
        name = function.name if function is not None else BORROWED if entry.owner else PUT
        bar = self._bars.get(name)
        if bar is None:
            bar = self._bars[name] = Bar(name=text.line(name) or "?")
        return bar

    def _place(self) -> int:
        """Give what is fresh to the bars; gives how many of them have settled already."""
        settled = 0
        for oid, ref in list(self._fresh.items()):
            entry = self._entries.get(oid)
            if entry is None:
                continue
            del self._fresh[oid]
            bar = self._bar_of(entry)
            if entry.value is None:
                bar.waiting += 1
                self._pending[oid] = ref
            else:
                self._settle(bar, entry.value)
                settled += 1
        return settled

    def _collect(self) -> None:
        """Count what has settled since the last look."""
        known = self._entries
        # In two steps, as most have not: the first has to be quick.
        for oid in [oid for oid in self._pending if known[oid].value is not None]:
            entry = known[oid]
            bar = self._bar_of(entry)
            # It may have counted as running until now; the next step of a look counts those again.
            if bar.waiting:
                bar.waiting -= 1
            else:
                bar.running -= 1
            self._settle(bar, entry.value)
            del self._pending[oid]

    def _settle(self, bar: Bar, value: object) -> None:
        if isinstance(value, Failed):
            bar.failed += 1
            self._failures.add(bar.name, value)
            self._saw(value)
        else:
            bar.done += 1

    def _counted(self) -> int:
        return sum(bar.settled for bar in self._bars.values()) - self._settled_before

    def _rate(self, now: float) -> float | None:
        """Lately, and once all have settled on the whole: that then is the one of interest."""
        history, counted = self._history, self._counted()
        history.append((now, counted))
        while len(history) > 2 and now - history[1][0] >= RATE_WINDOW_S:
            history.popleft()
        since, before = history[0]
        if counted > before and now > since and (self._fresh or self._pending):
            return (counted - before) / (now - since)
        return counted / (now - self._began) if counted and now > self._began else None

    def _snapshot(self, now: float) -> Snapshot:
        largest = sorted(self._bars.values(), key=lambda bar: -bar.total)
        kept = {id(bar) for bar in largest[:BARS_MAX]}
        total = sum(largest, Counts(waiting=len(self._fresh)))
        rate = self._rate(now)
        left = total.total - total.settled
        return Snapshot(
            # In the order of their first call: rows that change places can't be read.
            bars=[Bar(b.done, b.failed, b.running, b.waiting, b.name) for b in self._bars.values() if id(b) in kept],
            others=sum(largest[BARS_MAX:], Counts()),
            others_count=max(0, len(largest) - BARS_MAX),
            total=total,
            elapsed_s=now - self._began,
            rate=rate,
            eta_s=left / rate if rate and left else None,
            failures=[replace(failure) for failure in self._failures.groups.values()],
            failures_more=self._failures.more,
        )
