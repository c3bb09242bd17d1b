"""What the magics need of the notebook they run in: a port, which `raynb.magics.frontend` fills with IPython."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from raynb.magics.history import History
from raynb.magics.screen import Screen
from raynb.magics.source import CellSource


class Session(Protocol):
    """A notebook with one cell running."""

    @property
    def namespace(self) -> dict[str, Any]:
        """The notebook's globals."""
        ...

    @property
    def history(self) -> History:
        """What the notebook keeps beside its variables."""
        ...

    @property
    def key(self) -> str:
        """The same for each run of the cell that runs now, different for each cell."""
        ...

    @property
    def future_annotations(self) -> bool:
        """Whether `from __future__ import annotations` is in force."""
        ...

    @property
    def cancels_on_rerun(self) -> bool:
        """Whether running a cell again cancels what its last run left running."""
        ...

    def visible(self) -> Mapping[str, Any]:
        """The namespace without what a shell put there that hides a builtin."""
        ...

    def cell(self, line: str, body: str) -> CellSource:
        """The cell that runs now, whose magic got this line and body."""
        ...

    def expression(self, text: str) -> CellSource:
        """An expression on the line of a magic."""
        ...

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the notebook."""
        ...

    def bind(self, values: Mapping[str, Any]) -> None:
        """Give names of the notebook these values."""
        ...

    @property
    def asks(self) -> bool:
        """Whether the front end of the cell that runs now can be asked for a line of text."""
        ...

    def readable(self, traceback: str) -> str:
        """A task's traceback with cells named as people do, and their lines."""
        ...

    def post_mortem(self, frames: TracebackType | None) -> None:
        """Open the notebook's debugger where an exception was raised."""
        ...

    def screen(self) -> Screen:
        """The output of the cell that runs now."""
        ...
