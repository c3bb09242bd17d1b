"""A task's state at a moment that has passed, from the times of its row."""

from __future__ import annotations

from typing import Final

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.messages.events import (
    FINISHED,
    PENDING_ARGS_AVAIL,
    PENDING_NODE_ASSIGNMENT,
    RUNNING,
    SUBMITTED_TO_WORKER,
)

NOT_YET: Final = -1
"""It had not been submitted."""


def state_at(table: EventTable, slot: int, wall: float) -> int:
    """Which of `TASK_STATES` a row was in at ``wall`` (seconds since the epoch), `NOT_YET` before its submission."""
    if table.submitted[slot] > wall:
        return NOT_YET
    state = table.state[slot]
    if state >= FINISHED:
        if table.ended[slot] <= wall:
            return state
        state = RUNNING
    if state >= RUNNING and 0 < table.started[slot] <= wall:
        return RUNNING
    if state >= SUBMITTED_TO_WORKER and 0 < table.pushed[slot] <= wall:
        return SUBMITTED_TO_WORKER
    if state >= PENDING_NODE_ASSIGNMENT and 0 < table.ready[slot] <= wall:
        return PENDING_NODE_ASSIGNMENT
    return PENDING_ARGS_AVAIL


class Lens:
    """Which rows a view sees, and in which states.

    Parameters
    ----------
    at
        As they were at this moment (milliseconds since the epoch); None: as they are.
    between
        Only tasks that ran in this window; None: all.
    """

    def __init__(self, table: EventTable, at: float | None, between: tuple[float, float] | None) -> None:
        self._table = table
        self.at_s = None if at is None else at / 1000
        self._between = None if between is None else (between[0] / 1000, between[1] / 1000)
        self.plain = at is None and between is None
        """It sees all, as they are."""

    def state(self, slot: int) -> int:
        """Which of `TASK_STATES`, or `NOT_YET`: it is not to be seen."""
        table = self._table
        if self._between is not None:
            start, end = self._between
            began, ended = table.started[slot], table.ended[slot]
            if not began or began >= end or (ended and ended < start):
                return NOT_YET
        return table.state[slot] if self.at_s is None else state_at(table, slot, self.at_s)
