"""What the event hub knows of actors: how many calls wait and run, and of which methods; which actors are not known
anywhere else yet, since what their constructors are given is still to come."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

from raynb.runtime.core.event_names import EventNames, Totals
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_actor_life import DEPENDENCIES_UNREADY
from raynb.runtime.core.task_views import state_counts
from raynb.runtime.core.views import ACTOR_FIELDS, ACTOR_MORE, Calls, Row
from raynb.runtime.messages.events import PENDING_ARGS_AVAIL, RUNNING, TASK_KINDS

CREATION: Final = TASK_KINDS.index("ACTOR_CREATION_TASK")
CALL: Final = TASK_KINDS.index("ACTOR_TASK")
METHODS_MAX: Final = 100


def actor_calls(names: EventNames) -> dict[bytes, Calls]:
    """By the actor's id, over all callers that live."""
    found: dict[bytes, Calls] = {}
    for name in names.living():
        if name.definition is None or name.kind != CALL:
            continue
        calls = found.setdefault(name.definition.actor_id, Calls())
        totals = Totals(name.called, name.kind)
        totals.add(name)
        counts = state_counts(totals)
        calls.waiting += sum(counts[:RUNNING])
        calls.running += counts[RUNNING]
        method = name.called.rpartition(".")[2]
        if method not in calls.methods and len(calls.methods) < METHODS_MAX:
            calls.methods.append(method)
    return found


def awaited_actors(table: EventTable, known: Container[bytes]) -> Iterator[Row]:
    """Rows of the actors whose creator waits for what their constructors are given: the GCS is asked for one when that
    is there. Fields that only their creators know are empty."""
    names = {
        position
        for position, name in enumerate(table.names.names)
        if name is not None and name.kind == CREATION and name.states[PENDING_ARGS_AVAIL]
    }
    for slot in table.slots() if names else ():
        if table.state[slot] != PENDING_ARGS_AVAIL or table.name[slot] not in names:
            continue
        name = table.names.name(table.name[slot])
        actor_id, definition = name.actor_of(table.ids[slot]), name.definition
        if definition is not None and actor_id not in known:
            yield {
                **dict.fromkeys((*ACTOR_FIELDS, *ACTOR_MORE)),
                **dict.fromkeys(("name", "ray_namespace", "repr_name", "worker_address"), ""),
                "actor_id": actor_id.hex(),
                "class_name": name.called.removesuffix(".__init__"),
                "state": DEPENDENCIES_UNREADY,
                "job_id": definition.job.hex(),
                "required_resources": definition.resources,
                "call_site": definition.call_site,
                "owner": name.owner,
                "cell": definition.cell,
                "pid": 0,
                "num_restarts": 0,
                "pending_calls": 0,
                "running_calls": 0,
                "methods": [],
            }
