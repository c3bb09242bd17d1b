"""What a client does with a demand that can't be met: it tells, and waits; where it never will be, the tasks fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.core.client_effects import Notice
from raynb.runtime.messages.node import LeaseInfeasible
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine


def infeasible(client: ClientMachine, message: LeaseInfeasible) -> list[Any]:
    """The node manager says that no worker will come for a scheduling class."""
    pool = client.scheduler.pools.get(message.key)
    if pool is None:
        return [] if message.key else [Notice(message.message)]
    if message.kind:
        tasks = list(pool.queue)
        for task in tasks:
            client.scheduler.unqueue(task)
        effects = client.scheduler.refused(pool)
        for task in tasks:
            client.fail(task, Failed(message.kind, message.message))
        return effects
    told, pool.infeasible = pool.infeasible, message.message
    # A group that is not placed yet is nothing to be told aloud.
    return [] if told or group_of(pool.resources) is not None else [Notice(message.message)]
