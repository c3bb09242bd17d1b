"""What a user's thread does with placement groups, as `raynb.runtime.api.placement_groups` does it."""

from __future__ import annotations

from typing import Any

from raynb.runtime.messages.ids import JOB_ID_BYTES
from raynb.runtime.messages.placement import CreateGroup, RemoveGroup
from tests.sim import calls
from tests.sim.client import SimClient
from tests.sim.outcomes import RemoteError
from tests.sim.places import Group
from tests.sim.threads import Steps

GROUP_ID_BYTES = 18


def create_group(client: SimClient, bundles: tuple[float, ...], strategy: str) -> Steps:
    """Ask for a group; gives it once it is registered. Raises `RemoteError`."""
    group = Group(client.next_task_id()[: GROUP_ID_BYTES - JOB_ID_BYTES] + client.job, bundles)
    client.oracle.group_created(client, group)
    amounts = [{"CPU": cpus} for cpus in bundles]
    message = CreateGroup(0, group.id, amounts, strategy, "", client.namespace, False, client.job)
    reply: Any = yield from calls.ask(client, client.machine.gcs, message)
    if reply.error is not None:
        raise RemoteError(reply.error)
    return group


def remove_group(client: SimClient, group: Group) -> Steps:
    """Remove a group; raises `RemoteError`."""
    client.oracle.group_to_be_removed(group.id)
    reply: Any = yield from calls.ask(client, client.machine.gcs, RemoveGroup(0, group.id))
    if reply.error is not None:
        raise RemoteError(reply.error)
    client.oracle.group_removed(group.id)
