"""What tasks write, as their cells show it: in order, bounded, and folded where many workers say the same.

* A line that two workers have written is held back from then on, and soon told once with how often it came.
* Text that overwrites itself (``\\r``: progress bars) becomes one display, a line for each task's bar.
* After `LINES_MAX` lines of one run of a cell the rest is counted, and its end shown in a collapsed "n more lines".

Everything is told by `Send`: (token of the run, kind of message, content), for any thread.
"""

from __future__ import annotations

import html
import re
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from raynb.runtime.messages.tasks import DISPLAY, OutputLine

Send = Callable[[str, str, dict[str, Any]], None]

LINES_MAX: Final = 1000
CHARACTERS_MAX: Final = 500_000
DISPLAYS_MAX: Final = 100
"""Of one run of a cell so much is shown."""

TAIL_LINES: Final = 50
"""Of what is not shown, the last lines are kept to look at."""

CELLS_MAX: Final = 1000
FOLDS_MAX: Final = 500
FOLD_S: Final = 5.0
"""A line is the same as one of so long ago."""
FOLDED_MIN: Final = 3
"""Fewer repetitions are shown as they are."""
BARS_MAX: Final = 12
INTERVAL_S: Final = 0.4
"""What changes in place is told at most so often."""

_CURSOR = re.compile(r"\x1b\[\d*[A-HJKSTfhl]")


class _Fold:
    """A line that was shown, and its repetitions."""

    __slots__ = ("count", "last", "pid", "pids", "since")

    def __init__(self, pid: int, now: float) -> None:
        self.pid = pid
        self.since = self.last = now
        self.pids: set[int] = set()
        self.count = 0


class _Bar:
    """A line that overwrites itself."""

    __slots__ = ("pid", "text")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.text = ""

    def overwrite(self, text: str) -> None:
        """Write on; each carriage return begins the line anew."""
        first, *later = text.split("\r")
        self.text = next((each for each in reversed(later) if each), self.text + first).rstrip()


class _Cell:
    """One run of a cell."""

    def __init__(self) -> None:
        self.folds: OrderedDict[tuple[str, str], _Fold] = OrderedDict()
        self.bars: list[_Bar] = []
        self.open_bars: dict[tuple[bytes, str], _Bar] = {}
        self.bars_id = ""
        self.open: tuple[bytes, str] | None = None
        """Whose text stands at the end, without a newline: (task, stream)."""
        self.lines = self.characters = self.displays = 0
        self.hidden = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.hidden_id = ""
        self.changed: set[str] = set()
        """What of it is to be told again: bars, hidden."""

    def bar(self, key: tuple[bytes, str], pid: int) -> _Bar:
        """The bar that this task draws on this stream."""
        if key not in self.open_bars:
            self.open_bars[key] = _Bar(pid)
            self.bars.append(self.open_bars[key])
        return self.open_bars[key]

    @property
    def full(self) -> bool:
        return self.lines >= LINES_MAX or self.characters >= CHARACTERS_MAX


class CellOutputs:
    """The outputs of all runs of cells of a notebook. Safe in every thread.

    Parameters
    ----------
    send
        See the module. Must not block.
    folds
        Asked whether lines are folded.
    """

    def __init__(self, send: Send, folds: Callable[[], bool] = lambda: True) -> None:
        self._send = send
        self._folds = folds
        self._lock = threading.RLock()
        self._cells: OrderedDict[str, _Cell] = OrderedDict()
        self._unsettled: dict[str, _Cell] = {}
        self._timer: threading.Timer | None = None

    # -- in

    def take(self, lines: list[OutputLine], dropped: int) -> None:
        """Show what a worker has sent. ``dropped``: lines that are in its log alone."""
        now = time.monotonic()
        with self._lock:
            for line in lines:
                cell = self._cell(line.cell)
                out = _Out(self._send, line.cell, cell)
                if line.stream == DISPLAY:
                    self._display(out, cell, line)
                else:
                    self._text(out, cell, line, now)
                out.flush()
            if dropped:
                self._hide(self._cell(lines[-1].cell if lines else ""), [], dropped)
            self._wake()

    def settle(self, token: str | None = None) -> None:
        """Tell what is held back: of one run, or of all."""
        with self._lock:
            for each, cell in list(self._unsettled.items()):
                if token is None or each == token:
                    self._tell(each, cell, time.monotonic(), everything=True)

    def close(self) -> None:
        """Tell what is held back, and stop."""
        self.settle()
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def _cell(self, token: str) -> _Cell:
        cell = self._cells.get(token)
        if cell is None:
            cell = self._cells[token] = _Cell()
            if len(self._cells) > CELLS_MAX:
                old, _ = self._cells.popitem(last=False)
                self._unsettled.pop(old, None)
        self._unsettled[token] = cell
        return cell

    def _display(self, out: _Out, cell: _Cell, line: OutputLine) -> None:
        content = msgspec.json.decode(line.text, type=dict[str, Any])
        update = content.pop("update", False)
        cell.displays += not update
        if cell.displays > DISPLAYS_MAX and not update:
            self._hide(cell, [str(content["data"].get("text/plain", ""))])
            return
        out.flush()
        self._send(out.token, "update_display_data" if update else "display_data", content)

    def _text(self, out: _Out, cell: _Cell, line: OutputLine, now: float) -> None:
        text = line.text.replace("\r\n", "\n")
        key = (line.task_id, line.stream)
        if "\r" in text or key in cell.open_bars:
            text = self._bar(cell, key, line, text)
        *whole, rest = text.split("\n")
        continues = cell.open == key
        for number, each in enumerate(whole):
            if number == 0 and continues:
                out.add(key, each + "\n")  # the rest of a line that has begun already
            elif self._is_folded(cell, line, each, now):
                continue
            elif cell.full:
                self._hide(cell, [each])
            else:
                cell.lines += 1
                out.add(key, each + "\n")
        if rest and not cell.full:
            cell.lines += 1
            out.add(key, rest)
        elif rest:
            self._hide(cell, [rest])

    # -- repetitions

    def _is_folded(self, cell: _Cell, line: OutputLine, text: str, now: float) -> bool:
        if not text.strip() or len(text) > 1000 or not self._folds():
            return False
        key = (line.stream, text)
        fold = cell.folds.get(key)
        if fold is None or now - fold.since > FOLD_S:
            if fold is not None:
                self._unfold(line.cell, cell, key, fold)
            cell.folds[key] = _Fold(line.pid, now)
            if len(cell.folds) > FOLDS_MAX:
                self._unfold(line.cell, cell, *cell.folds.popitem(last=False))
            return False
        if fold.pid == line.pid and not fold.pids:
            return False  # one worker says it again and again: that is its own affair
        fold.pids.add(line.pid)
        fold.count += 1
        fold.last = now
        return True

    def _unfold(self, token: str, cell: _Cell, key: tuple[str, str], fold: _Fold) -> None:
        """Tell how often a line came again."""
        cell.folds.pop(key, None)
        if not fold.count:
            return
        stream, text = key
        if fold.count < FOLDED_MIN:
            told = f"{text}\n" * fold.count
        else:
            told = f"{text}  [repeated {fold.count:,} times, by {len(fold.pids | {fold.pid})} workers]\n"
        out = _Out(self._send, token, cell)
        if cell.full:
            self._hide(cell, told.splitlines())
        else:
            cell.lines += told.count("\n")
            out.add((b"", stream), told)
        out.flush()

    # -- bars

    def _bar(self, cell: _Cell, key: tuple[bytes, str], line: OutputLine, text: str) -> str:
        """Let text that overwrites itself change its task's bar; gives what of it is ordinary."""
        ordinary: list[str] = []
        *whole, rest = _CURSOR.sub("", text).split("\n")
        for each in whole:
            if "\r" in each or key in cell.open_bars:
                cell.bar(key, line.pid).overwrite(each)
                del cell.open_bars[key]
            else:
                ordinary.append(each + "\n")
        if "\r" in rest or key in cell.open_bars:
            cell.bar(key, line.pid).overwrite(rest)
            rest = ""
        cell.changed.add("bars")
        return "".join(ordinary) + rest

    @staticmethod
    def _bars_text(cell: _Cell) -> str:
        bars = [bar for bar in cell.bars if bar.text.strip()]
        if len(bars) == 1:
            return bars[0].text
        more = [f"(and {len(bars) - BARS_MAX:,} more)"] if len(bars) > BARS_MAX else []
        return "\n".join([*more, *(f"pid {bar.pid}  {bar.text}" for bar in bars[-BARS_MAX:])])

    # -- what is not shown

    def _hide(self, cell: _Cell, lines: list[str], dropped: int = 0) -> None:
        cell.hidden += len(lines) + dropped
        cell.tail.extend(line[:500] for line in lines)
        cell.changed.add("hidden")

    @staticmethod
    def _hidden_bundle(cell: _Cell) -> dict[str, str]:
        head = f"{cell.hidden:,} more lines"
        where = "All of it is in the workers' logs: %raynb logs"
        tail = "\n".join(cell.tail)
        last = f"<pre>{html.escape(tail)}</pre>" if tail else ""
        return {
            "text/plain": f"({head}. {where})",
            "text/html": f"<details><summary>{head}</summary>{last}<p>{html.escape(where)}</p></details>",
        }

    # -- out, later

    def _wake(self) -> None:
        if self._timer is None and any(c.changed or any(f.count for f in c.folds.values()) for c in self._held()):
            self._timer = threading.Timer(INTERVAL_S, self._tick)
            self._timer.daemon = True
            self._timer.start()

    def _held(self) -> list[_Cell]:
        return list(self._unsettled.values())

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
            now = time.monotonic()
            for token, cell in list(self._unsettled.items()):
                self._tell(token, cell, now, everything=False)
            self._wake()

    def _tell(self, token: str, cell: _Cell, now: float, *, everything: bool) -> None:
        for key, fold in list(cell.folds.items()):
            quiet = now - fold.last > INTERVAL_S or now - fold.since > FOLD_S
            if fold.count and (everything or quiet):
                self._unfold(token, cell, key, fold)
            elif now - fold.since > FOLD_S:
                del cell.folds[key]
        if "bars" in cell.changed:
            cell.bars_id = self._place(token, cell.bars_id, {"text/plain": self._bars_text(cell)})
        if "hidden" in cell.changed:
            cell.hidden_id = self._place(token, cell.hidden_id, self._hidden_bundle(cell))
        cell.changed.clear()
        if not any(fold.count for fold in cell.folds.values()):
            self._unsettled.pop(token, None)

    def _place(self, token: str, display_id: str, data: dict[str, str]) -> str:
        """Show something, or change what was shown under this id; gives the id."""
        kind = "update_display_data" if display_id else "display_data"
        display_id = display_id or f"raynb-{uuid.uuid4().hex}"
        self._send(token, kind, {"data": data, "metadata": {}, "transient": {"display_id": display_id}})
        return display_id


class _Out:
    """Gathers text for one cell, so that neighbours go out in one message."""

    def __init__(self, send: Send, token: str, cell: _Cell) -> None:
        self._send = send
        self.token = token
        self._cell = cell
        self._stream = ""
        self._parts: list[str] = []

    def add(self, key: tuple[bytes, str], text: str) -> None:
        cell = self._cell
        task, stream = key
        if stream != self._stream:
            self.flush()
            self._stream = stream
        if cell.open is not None and cell.open != key and cell.open[1] == stream:
            self._parts.append("\n")  # pieces of different tasks must not end up on one line
        self._parts.append(text)
        cell.characters += len(text)
        cell.open = None if text.endswith("\n") else (task, stream)

    def flush(self) -> None:
        if self._parts:
            self._send(self.token, "stream", {"name": self._stream, "text": "".join(self._parts)})
            self._parts.clear()
