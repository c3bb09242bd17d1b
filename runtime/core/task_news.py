"""The event hub's door for what clients tell of their tasks.

A client whose numbers the hub does not know (it was restarted, say) is asked for their definitions, not more often than
each `ASK_PAUSE_S`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.event_table import EventTable, MalformedRows
from raynb.runtime.core.gcs_effects import Say
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.messages.events import SendNames, Spans, TaskRows

ASK_PAUSE_S: Final = 1.0


class TaskNews:
    """See the module."""

    def __init__(self, table: EventTable) -> None:
        self._table = table
        self._asked: dict[str, float] = {}
        self.handlers: dict[type, Callable[[str, Any, float], Effects]] = {
            TaskRows: self.take,
            Spans: table.spans.take,
        }

    def take(self, sender: str, message: TaskRows, now: float) -> Effects:
        """A client tells."""
        try:
            unknown = self._table.ingest(sender, message)
        except MalformedRows as error:
            return [Say("warning", f"{sender} sent task rows that can't be: {error}")]
        if unknown and now - self._asked.get(sender, -1e9) >= ASK_PAUSE_S:
            self._asked[sender] = now
            return [Send(sender, SendNames())]
        return []

    def forget(self, sender: str) -> None:
        """A client is dead."""
        self._asked.pop(sender, None)
