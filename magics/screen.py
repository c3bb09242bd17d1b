"""Where a cell's results are shown: a port, and two ways to do it.

In a kernel, messages go out under the header of the request that ran the cell, so that a front end puts them into that
cell, whichever one runs by then. In a terminal there is nothing but the present line.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any, Protocol

from raynb.magics.source import CellSource
from raynb.runtime.worker.displays import Bundle


class Screen(Protocol):
    """The output of the cell that was running when it was opened. Its methods may be called from any thread."""

    def show(self, bundle: Bundle, *, display_id: str | None = None, update: bool = False) -> None:
        """Show a bundle; with ``update`` in the place of what was shown under this id."""
        ...

    def fail(self, error: BaseException, cell: CellSource) -> None:
        """Show why the task of the cell has no result."""
        ...


def open_screen(shell: Any) -> Screen:
    """The output of the cell that runs now."""
    kernel = getattr(shell, "kernel", None)
    return DirectScreen() if kernel is None else KernelScreen(kernel)


class DirectScreen:
    """Shows where the cursor is."""

    def show(self, bundle: Bundle, *, display_id: str | None = None, update: bool = False) -> None:
        from IPython import display

        here: Any = display.display
        data, metadata = bundle
        here(data, metadata=metadata, raw=True, display_id=display_id, update=update)

    def fail(self, error: BaseException, cell: CellSource) -> None:
        print("\n".join(described(error, cell)), file=sys.stderr)


class KernelScreen:
    """Shows in the cell whose request the kernel was handling when this was made."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._parent = kernel.get_parent("shell")

    def show(self, bundle: Bundle, *, display_id: str | None = None, update: bool = False) -> None:
        data, metadata = bundle
        transient = {"display_id": display_id} if display_id else {}
        content = {"data": data, "metadata": metadata, "transient": transient}
        self._send("update_display_data" if update else "display_data", content)

    def fail(self, error: BaseException, cell: CellSource) -> None:
        lines = described(error, cell)
        content = {"ename": type(error).__name__, "evalue": str(error), "traceback": lines}
        self._send("error", content)

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        kernel = self._kernel
        kernel.session.send(kernel.iopub_socket, kind, content, parent=self._parent, ident=kind.encode())


def described(error: BaseException, cell: CellSource) -> list[str]:
    """The lines that say what went wrong in a task: the task's own traceback, where it has one."""
    text: str = getattr(error, "traceback_str", "") or f"{type(error).__name__}: {error}"
    return [f"{cell.label} failed", text.replace(f'File "{cell.filename}", line', f"Cell {cell.label}, line")]


class Placeholder:
    """A line in the cell that later becomes the result."""

    def __init__(self, screen: Screen, text: str) -> None:
        self._screen = screen
        self._id = uuid.uuid4().hex
        screen.show(({"text/plain": text}, {}), display_id=self._id)

    def become(self, bundle: Bundle) -> None:
        """Put a bundle in its place."""
        self._screen.show(bundle, display_id=self._id, update=True)

    def say(self, text: str) -> None:
        """Put a line of text in its place; none leaves as little as a front end allows."""
        self.become(({"text/plain": text}, {}))
