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
