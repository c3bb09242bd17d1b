"""Errors of the magics, which a cell shows as a sentence and the line it is about, not as a stack.

They are raised before anything runs: whoever reads one has only the cell to mend, so that the frames of
the magic are no help. IPython asks an exception for `_render_traceback_` and prints what it gets.
"""

from __future__ import annotations

from raynb.magics.source import CellSource


class CellError(Exception):
    """What is wrong with a cell, where, and what to do.

    Parameters
    ----------
    message
        One or more lines for the reader.
    line
        Number of the cell's line, from 1; None where the whole cell is meant.
    cell
        The cell, whose line is then shown.
    """

    def __init__(self, message: str, *, line: int | None = None, cell: CellSource | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.cell = cell

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of a traceback."""
        shown = [f"{type(self).__name__}: {self}"]
        text = self.cell.line(self.line) if self.cell and self.line is not None else ""
        if text:
            shown += ["", f"    {self.line} {text.rstrip()}"]
        return shown


class OptionError(CellError, ValueError):
    """An option that does not exist, has no good value or does not go with another."""


class MixedCellError(CellError):
    """A cell that both declares and runs."""


class IPythonSyntaxError(CellError):
    """A shell escape or a magic inside a cell that is to run where there is no IPython."""


class UndefinedNameError(CellError, NameError):
    """A name that neither the cell nor the notebook gives a value."""


class CaptureError(CellError, TypeError):
    """A value that the cell reads and that can't be sent to where the task runs."""
