"""`progress` where there is no notebook: bars on standard error, if a person looks at it."""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from raynb.widgets.progress_page import RUNNING, headline, rows_of
from raynb.widgets.sampling import sampler

if TYPE_CHECKING:
    from raynb.widgets import task_progress

SAMPLE_S = 0.2


def draw(shown: task_progress.Progress) -> None:
    """Draw bars until all have ended; nothing where standard error is no terminal."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        Bars(shown, console).start()


class Bars:
    """A row for each function, and one for all."""

    def __init__(self, shown: task_progress.Progress, console: Console) -> None:
        self._shown = shown
        # The names are others' words: no markup in them.
        self._drawing = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=console,
            auto_refresh=False,
            # Above the bars, if both go to a terminal; what goes to a file or a pipe still has to.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._rows: list[TaskID] = []

    def start(self) -> None:
        """Draw, and go on until all have ended or the process ends."""
        self._drawing.start()
        atexit.register(self._end)
        sampler.add(self._sample)

    def _sample(self) -> float | None:
        if self._draw() == RUNNING:
            return SAMPLE_S
        self._stop()
        return None

    def _draw(self) -> str:
        snapshot, status = self._shown.look()
        rows = [(name, counts, counts.words()) for name, counts in rows_of(snapshot)]
        rows.append(("", snapshot.total, headline(snapshot, status)))
        for name, counts, said in rows[len(self._rows) :]:
            self._rows.append(self._drawing.add_task(name, total=counts.total, said=said))
        for row, (name, counts, said) in zip(self._rows, rows, strict=True):
            self._drawing.update(row, description=name, total=counts.total, completed=counts.settled, said=said)
        self._drawing.refresh()
        return status

    def _end(self) -> None:
        """The process ends, maybe before the first look."""
        self._draw()
        self._stop()

    def _stop(self) -> None:
        atexit.unregister(self._end)
        sampler.remove(self._sample)
        self._drawing.stop()
