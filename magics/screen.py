"""Where a cell's results are shown: a port, and the plain way to do it.

The kernel extension gives a better one, that finds the cell again when another one runs.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any, Protocol

from raynb.magics.show import Bundle


class Screen(Protocol):
    """The output of the cell that was running when it was opened. Its methods may be called from any thread."""

    def show(self, bundle: Bundle, *, display_id: str | None = None, update: bool = False) -> None:
        """Show a bundle; with ``update`` in the place of what was shown under this id."""

    def fail(self, error: BaseException, label: str) -> None:
        """Show why the task of the cell ``label`` has no result."""


class DirectScreen:
    """Shows through IPython's own display, in whatever cell that means at the time."""

    def show(self, bundle: Bundle, *, display_id: str | None = None, update: bool = False) -> None:
        from IPython import display

        here: Any = display.display
        data, metadata = bundle
        here(data, metadata=metadata, raw=True, display_id=display_id, update=update)

    def fail(self, error: BaseException, label: str) -> None:
        print(f"{label} failed: {type(error).__name__}: {error}", file=sys.stderr)


class Placeholder:
    """A line in the cell that later becomes the result."""

    def __init__(self, screen: Screen, text: str) -> None:
        self._screen = screen
        self._id = uuid.uuid4().hex
        screen.show(({"text/plain": text}, {}), display_id=self._id)

    def become(self, bundle: Bundle) -> None:
        """Put a bundle in its place."""
        self._screen.show(bundle, display_id=self._id, update=True)

    def vanish(self) -> None:
        """Leave as little as a front end allows."""
        self.become(({"text/plain": ""}, {}))
