"""What the live views have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

UNSEEN_S_MAX = 60.0
"""After so long without a view nobody looks (a notebook executed without a front end, say)."""


class LiveView(anywidget.AnyWidget):
    """A widget that hears its front end while a cell runs (where it has subshells), and knows if it is displayed.

    Parameters
    ----------
    said
        Called with what the front end says, in the kernel's (or a subshell's) thread.
    opened
        Called when somebody looks at it (again).
    """

    was_seen = False

    def __init__(
        self,
        said: Callable[[dict[str, Any]], None] = lambda content: None,
        opened: Callable[[], None] = lambda: None,
        **state: Any,
    ) -> None:
        self._opened = opened
        self._made_at = time.monotonic()
        super().__init__(_view_count=0, **state)
        self._hear_subshells()
        self.on_msg(lambda _, content, buffers: said(content if isinstance(content, dict) else {}))

    @property
    def is_displayed(self) -> bool:
        """Whether there is a view of it now, as far as the kernel, which may be busy, has heard."""
        return bool(self._view_count)

    @property
    def is_looked_at(self) -> bool:
        """Whether it is displayed, or may be yet."""
        return self.is_displayed if self.was_seen else time.monotonic() - self._made_at < UNSEEN_S_MAX

    @traitlets.observe("_view_count")
    def _count_views(self, change: Any) -> None:
        if change["new"]:
            self.was_seen = True
            self._opened()

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._hear_subshells()

    def _hear_subshells(self) -> None:
        # ipykernel (7.4) hands what a front end says to the loop that last spoke to it, even if it was said to a
        # subshell; from a thread that is the main loop, which may be busy. Without that note it goes where it was sent.
        said_by: dict[str, Any] = getattr(self.comm, "__dict__", {})
        said_by.pop("_reply_subshell_id", None)
