"""The calls of actors, as the event hub has counted them: how many wait and run, and of which methods."""

from __future__ import annotations

from typing import Final

from raynb.runtime.core.event_names import EventNames, Totals
from raynb.runtime.core.task_views import state_counts
from raynb.runtime.core.views import Calls
from raynb.runtime.messages.events import RUNNING, TASK_KINDS

CALL: Final = TASK_KINDS.index("ACTOR_TASK")
METHODS_MAX: Final = 100


def actor_calls(names: EventNames) -> dict[bytes, Calls]:
    """By the actor's id, over all callers that live."""
    found: dict[bytes, Calls] = {}
    for name in names.living():
        if name.definition is None or name.kind != CALL:
            continue
        calls = found.setdefault(name.definition.actor_id, Calls())
        totals = Totals(name.function, name.kind)
        totals.add(name)
        counts = state_counts(totals)
        calls.waiting += sum(counts[:RUNNING])
        calls.running += counts[RUNNING]
        method = name.function.rpartition(".")[2]
        if method not in calls.methods and len(calls.methods) < METHODS_MAX:
            calls.methods.append(method)
    return found
