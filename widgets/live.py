"""What the live views have in common."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets


class LiveView(anywidget.AnyWidget):
    """A widget that hears its front end while a cell runs (where it has subshells), and knows if it is displayed."""

    was_seen = False

    def __init__(self, **state: Any) -> None:
        super().__init__(_view_count=0, **state)
        self._hear_subshells()

    @property
    def is_displayed(self) -> bool:
        """Whether there is a view of it now, as far as the kernel, which may be busy, has heard."""
        return bool(self._view_count)

    @traitlets.observe("_view_count")
    def _count_views(self, change: Any) -> None:
        if change["new"]:
            self.was_seen = True
            self.opened()

    def opened(self) -> None:
        """Somebody looks at it (again)."""

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._hear_subshells()

    def _hear_subshells(self) -> None:
        # ipykernel (7.4) hands what a front end says to the loop that last spoke to it, even if it was said to a
        # subshell; from a thread that is the main loop, which may be busy. Without that note it goes where it was sent.
        said_by: dict[str, Any] = getattr(self.comm, "__dict__", {})
        said_by.pop("_reply_subshell_id", None)
