"""What killed workers had written and not sent any more: their logs have it, and their node's manager sends it.

A worker says with each sending how far in its logs that goes. What a log has beyond that is new; what arrives from the
worker itself after its last words is known already, for it travels on a way of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from raynb.runtime.client import refs
from raynb.runtime.messages.tasks import DISPLAY, LastWords, OutputLine, TaskOutput

WORKERS_MAX: Final = 10_000
NOTHING: Final = (0, 0)


class Heard:
    """How far in the logs of each worker this driver has been told: (stdout, stderr), in bytes."""

    def __init__(self) -> None:
        self._ends: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._last: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """The same of those that are dead."""

    def __repr__(self) -> str:
        return f"<Heard {len(self._ends)} workers, {len(self._last)} to the last>"

    def lines(self, worker: str, message: TaskOutput) -> list[OutputLine]:
        """What of a worker's sending is to be shown."""
        if worker in self._last:
            return [line for line in message.lines if line.stream == DISPLAY]
        self._ends[worker] = message.ends
        _bound(self._ends)
        return message.lines

    def last_lines(self, words: LastWords) -> list[OutputLine]:
        """What of a dead worker's last words has not come from itself."""
        told = self._ends.pop(words.worker, NOTHING)
        self._last[words.worker] = words.ends
        _bound(self._last)
        found = []
        name = words.actor or _name_of(words.task_id)
        for stream, text, end, heard in zip(("stdout", "stderr"), words.texts, words.ends, told, strict=True):
            fresh = text[max(0, heard - (end - len(text))) :].decode(errors="replace")
            if fresh:
                found.append(OutputLine(words.cell, words.task_id, name, words.pid, stream, fresh, words.actor))
        return found


def _name_of(task_id: bytes) -> str:
    """Of a task that this driver has called, and that has not ended yet."""
    task = refs._current.machine.unfinished.get(task_id) if refs._current is not None else None
    return "a task" if task is None else task.name or task.function.name


def _bound(known: OrderedDict[str, tuple[int, int]]) -> None:
    if len(known) > WORKERS_MAX:
        known.popitem(last=False)
