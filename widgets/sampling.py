"""The one thread in which widgets look at what they show.

It lives as long as there is something to look at, so a notebook that shows nothing live has no such thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("raynb")

Sample = Callable[[], float | None]
"""Looks and shows; gives the seconds until it wants to be called again, None for never."""

SHARE_MAX = 0.05
"""Part of one CPU that looking may take: what is slow to look at is looked at less often."""


class Sampler:
    """Calls samples when they are due, one after the other."""

    def __init__(self) -> None:
        self._due: dict[Sample, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, sample: Sample, after_s: float = 0.0) -> None:
        """Have it called, from now on (again)."""
        with self._changed:
            self._due[sample] = time.monotonic() + after_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="raynb-widgets", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, sample: Sample) -> None:
        """Have it called no more. It may be running just now."""
        with self._changed:
            self._due.pop(sample, None)
            self._changed.notify()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            sample, due = found
            began = time.monotonic()
            try:
                again_s = sample()
            except Exception:
                log.exception("raynb: a widget can't look at what it shows; it stays as it is")
                again_s = None
            now = time.monotonic()
            with self._changed:
                if self._due.get(sample) != due:
                    continue  # removed meanwhile, or added again
                if again_s is None:
                    del self._due[sample]
                else:
                    self._due[sample] = now + max(again_s, (now - began) / SHARE_MAX)

    def _next(self) -> tuple[Sample, float] | None:
        """The next one that is due, when it is due. None: there are no more, and the thread ends."""
        with self._changed:
            while self._due:
                sample = min(self._due, key=self._due.__getitem__)
                due = self._due[sample]
                left_s = due - time.monotonic()
                if left_s <= 0:
                    return sample, due
                self._changed.wait(left_s)
            self._thread = None
            return None


sampler = Sampler()
