"""What becomes of a client's tasks, objects and requests when its node is gone: everything that is not here is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raynb.runtime.core.task import NODE_GONE, PUSHED
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine


def lose(machine: ClientMachine, reason: str, now: float) -> list[Any]:
    """Fail all that has no outcome yet. The open requests are left: `Requests.failures` has their answers."""
    machine.lost = (
        f"this node's manager is gone: {reason}. Its workers, actors and stored objects went with it; "
        "call shutdown() and init() to start again."
    )
    machine.objects.cut_off = True
    failure = Failed("LocalRayletDiedError", machine.lost)
    effects = machine.creations.lost(failure, now)
    machine.actors.lost(failure, now)
    ran = Failed("NodeDiedError", f"{NODE_GONE} {machine.lost}")
    for task in list(machine.unfinished.values()):
        machine.fail(task, ran if task.state is PUSHED and task.actor is None and task.creation is None else failure)
    machine.scheduler.lost()
    machine.objects.lost(failure)
    return effects
