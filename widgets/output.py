"""The place in a notebook where a widget stands, which knows what of it stays when the widget is gone.

Messages go out under the header of the request that ran the cell, from any thread: so they land in that cell, whichever
runs by then.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent / "static"
"""What `labextension/src/widgets` is built to."""


def kernel_here() -> Any:
    """The kernel that this process is, None in a terminal or a script."""
    # Asked of IPython where it is loaded: a script does not load it for this.
    import sys

    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)


_at_the_end: list[Callable[[], object]] = []


def cell_ends() -> None:
    """A cell has ended: what it shows where nobody sits is drawn for the last time."""
    drawn, _at_the_end[:] = list(_at_the_end), []
    for draw in drawn:
        draw()


class Output:
    """One output of a cell: shown once, then replaced.

    Where nobody sits, as in a notebook that nbclient or papermill executes (they say that they can't ask for input),
    nothing is live: what is shown is a picture from the start, and what comes after the cell's end would be lost.

    Parameters
    ----------
    parent
        The message that asked for the cell to be run; None: the one that the kernel handles now.
    """

    def __init__(self, kernel: Any, parent: Any = None) -> None:
        self._kernel = kernel
        self._parent = parent or kernel.get_parent("shell")
        self._id = uuid.uuid4().hex
        self._is_shown = False
        self._is_attended = bool(self._parent.get("content", {}).get("allow_stdin", True))

    def draw_at_the_end(self, draw: Callable[[], object]) -> None:
        """Have it drawn once more at the end of the cell that runs, where nothing is live."""
        if not self._is_attended:
            _at_the_end.append(draw)

    def show(self, *, widget: Any = None, html: str = "", text: str, picture: Mapping[str, str] | None = None) -> None:
        """Show this, in the place of what was shown before.

        Parameters
        ----------
        widget
            What front ends that can show it prefer; the others, and the saved notebook's readers, get ``html`` or
            ``text``.
        picture
            In the place of ``html``, by MIME type: where an SVG is meant to be seen, HTML would be preferred to it.
        """
        data: dict[str, Any] = {"text/plain": text, **({"text/html": html} if picture is None else picture)}
        metadata: Mapping[str, Any] = {}
        if widget is not None and self._is_attended:
            view, metadata = widget._repr_mimebundle_()
            data = {**view, **data}
        content = {"data": data, "metadata": metadata, "transient": {"display_id": self._id}}
        kind = "update_display_data" if self._is_shown else "display_data"
        self._is_shown = True
        kernel = self._kernel
        kernel.session.send(kernel.iopub_socket, kind, content, parent=self._parent, ident=kind.encode())
