"""Progress bars of tasks, under the name of ``ray.experimental.tqdm_ray``.

A bar is drawn where it is made, by tqdm, and what a task draws reaches the driver as all that it writes: in a notebook
the bars of all tasks are one display, in a terminal each step is a line. So nobody manages bars in the driver.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Final

__all__ = ["instance", "safe_print", "tqdm"]

FLUSH_INTERVAL_S: Final = 1.0


class tqdm:
    """A progress bar with those of tqdm's arguments that Ray's has.

    Parameters
    ----------
    iterable
        What it is to follow, one step an item; else `update` says how far it is.
    desc, total, unit, position
        As tqdm's; ``total`` is the length of ``iterable``, if that has one.
    flush_interval_s
        It is drawn at most so often.

    Warns
    -----
    UserWarning
        tqdm is not installed: nothing is drawn.
    """

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        desc: str | None = None,
        total: int | None = None,
        unit: str | None = None,
        position: int | None = None,
        flush_interval_s: float | None = None,
    ) -> None:
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        self._iterable = iterable
        self._total, self._n = total, 0
        interval_s = FLUSH_INTERVAL_S if flush_interval_s is None else flush_interval_s
        self._bar: Any = None
        try:
            drawn = importlib.import_module("tqdm")
        except ImportError:
            warnings.warn("tqdm is not installed: progress bars are not drawn", stacklevel=2)
        else:
            self._bar = drawn.tqdm(
                desc=desc, total=total, unit=unit or "it", position=position or 0, mininterval=interval_s,
                miniters=1, file=sys.stderr, dynamic_ncols=True, unit_scale=True,
            )  # fmt: skip

    def __repr__(self) -> str:
        return f"<tqdm {self._n} of {self._total}>"

    def update(self, n: int = 1) -> None:
        """So many steps more are done."""
        self._n += n
        if self._bar is not None:
            self._bar.update(n)

    def set_description(self, desc: str) -> None:
        """What it says in front."""
        if self._bar is not None:
            self._bar.set_description(desc, refresh=False)

    def refresh(self) -> None:
        """Draw it now."""
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        """Draw it for the last time."""
        if self._bar is not None:
            self._bar.close()

    @property
    def total(self) -> int | None:
        """Steps in all; None if that is not known."""
        return self._total

    @total.setter
    def total(self, total: int | None) -> None:
        self._total = total
        if self._bar is not None:
            self._bar.total = total

    @property
    def n(self) -> int:
        """Steps that are done."""
        return self._n

    @n.setter
    def n(self, n: int) -> None:
        self._n = n
        if self._bar is not None:
            self._bar.n = n

    def __iter__(self) -> Iterator[Any]:
        if self._iterable is None:
            raise ValueError("No iterable provided")
        for item in self._iterable:
            self.update(1)
            yield item


class _Bars:
    """What programs ask to make room while they print."""

    def __repr__(self) -> str:
        return "<the bars of this process>"

    def hide_bars(self) -> None:
        """Nothing has to be done: what is written meanwhile stands beside the bars."""

    def unhide_bars(self) -> None:
        """See `hide_bars`."""


_bars = _Bars()
safe_print = builtins.print


def instance() -> _Bars:
    """The bars of this process."""
    return _bars
