"""What tasks write, as a script shows it: on the same stream, each line with the task's name and process in front.

A line that several processes write is shown once, and after a while once more, with how often it has come since: Ray's
rule and Ray's variables. Lines are the same where they differ in words with digits only. Progress bars always are.

Environment
-----------
RAY_DEDUP_LOGS
    0: all lines are shown.
RAY_DEDUP_LOGS_AGG_WINDOW_S
    How long repetitions are gathered, in seconds; 5.
RAY_DEDUP_LOGS_ALLOW_REGEX, RAY_DEDUP_LOGS_SKIP_REGEX
    Lines in which this is found are always shown, or never.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

from raynb.runtime.messages.tasks import DISPLAY, OutputLine

FOLDS_MAX: Final = 1000
WINDOW_S: Final = 5.0
HOW_TO: Final = " (lines of several processes are shown once; RAY_DEDUP_LOGS=0 shows them all)"
NEVER_FOLDED: Final = "__ray_testing_never_deduplicate__"
"""Lines that have Ray's mark are always shown, unless a variable says otherwise."""
_DIGIT = re.compile(r"\d")


class _Fold:
    """A line that was shown, and what has come of it since."""

    __slots__ = ("count", "last", "pids", "since", "stream")

    def __init__(self, pid: int, stream: str, now: float) -> None:
        self.since = now
        self.pids = {pid}
        self.stream = stream
        self.count = 0
        self.last = ""


class Terminal:
    """Shows the output of tasks. Safe in every thread.

    Parameters
    ----------
    prefixed
        Each line begins with who has written it. Where records say that themselves (`LoggingConfig`) it does not.

    Raises
    ------
    ValueError
        A variable says nothing that makes sense; it is named.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, prefixed: bool = True) -> None:
        self._prefixed = prefixed
        self._folds: OrderedDict[tuple[str, str], _Fold] = OrderedDict()
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._told_how = False
        self._folding = environ.get("RAY_DEDUP_LOGS", "1").lower() not in ("0", "false")
        self._window_s = _seconds(environ, "RAY_DEDUP_LOGS_AGG_WINDOW_S", WINDOW_S)
        self._shown = _pattern({"RAY_DEDUP_LOGS_ALLOW_REGEX": NEVER_FOLDED, **environ}, "RAY_DEDUP_LOGS_ALLOW_REGEX")
        self._skipped = _pattern(environ, "RAY_DEDUP_LOGS_SKIP_REGEX")

    def take(self, lines: list[OutputLine], dropped: int) -> None:
        """Show what a worker has sent. ``dropped``: lines that are in its log alone."""
        now = time.monotonic()
        with self._lock:
            for line in lines:
                written = _as_text(line) if line.stream == DISPLAY else line.text
                # Each state of what overwrites itself (a progress bar) is a line; at first it overwrites nothing.
                bar = written.startswith("\r")
                for text in written.lstrip("\r").splitlines():
                    if bar or not self._holds_back(line, text, now):
                        _write(line.stream, self._told_by(line, text))
            if dropped:
                print(f"(raynb) {dropped} more lines are in the workers' logs", file=sys.stderr)
            self._wake()

    def _told_by(self, line: OutputLine, text: str) -> str:
        return f"({line.actor or line.name} pid={line.pid}) {text}" if self._prefixed else text

    def settle(self) -> None:
        """Show what is held back."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            for fold in self._folds.values():
                self._tell(fold)
            self._folds.clear()

    def _holds_back(self, line: OutputLine, text: str, now: float) -> bool:
        if self._shown is not None and self._shown.search(text):
            return False
        if self._skipped is not None and self._skipped.search(text):
            return True
        same = " ".join(word for word in text.split() if not _DIGIT.search(word))
        if not (self._folding and same):
            return False
        fold = self._folds.get((line.stream, same))
        if fold is None:
            self._folds[line.stream, same] = _Fold(line.pid, line.stream, now)
            if len(self._folds) > FOLDS_MAX:
                self._tell(self._folds.popitem(last=False)[1])
            return False
        fold.pids.add(line.pid)
        if len(fold.pids) == 1:
            return False  # one process says it again and again: that is its own affair
        fold.count += 1
        fold.last = self._told_by(line, text)
        return True

    def _tell(self, fold: _Fold) -> None:
        if fold.count == 1:
            _write(fold.stream, fold.last)
        elif fold.count:
            how, self._told_how = "" if self._told_how else HOW_TO, True
            _write(fold.stream, f"{fold.last} [repeated {fold.count}x across cluster]{how}")
        fold.count = 0

    def _wake(self) -> None:
        if self._timer is None and self._folds:
            oldest = next(iter(self._folds.values()))
            self._timer = threading.Timer(max(0.0, oldest.since + self._window_s - time.monotonic()), self._tick)
            self._timer.daemon = True
            self._timer.start()

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
            now = time.monotonic()
            while self._folds:
                key, fold = next(iter(self._folds.items()))
                if now - fold.since < self._window_s:
                    break
                del self._folds[key]
                if fold.count > 1:  # it may go on
                    self._folds[key] = fold
                    fold.since = now
                self._tell(fold)
            self._wake()


def _as_text(line: OutputLine) -> str:
    """What a terminal shows of a display."""
    return str(msgspec.json.decode(line.text)["data"].get("text/plain", ""))


def _write(stream: str, text: str) -> None:
    print(text, file=sys.stderr if stream == "stderr" else sys.stdout)


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(environ.get(name) or default)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds, not {environ[name]!r}") from None


def _pattern(environ: Mapping[str, str], name: str) -> re.Pattern[str] | None:
    text = environ.get(name)
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ValueError(f"{name} must be a regular expression, not {text!r}: {error}") from None
