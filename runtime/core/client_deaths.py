"""What a client does when processes and nodes die.

Rules
-----
1. The first news of a node's end counts, whether of its manager or of a process that died with it: its workers are
   lost, and so are the values in its memory, before anything else is decided about them.
2. With a node die all its processes, those too of whose deaths nobody may ever tell: a GCS that was started again in
   between has never heard of them. They are known by their addresses, in the session of its manager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raynb.runtime.core import client_losses
from raynb.runtime.core.client_effects import Forget
from raynb.runtime.core.node_identity import session_of
from raynb.runtime.messages.node import ProcessDied

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine


def process_died(client: ClientMachine, message: ProcessDied, now: float) -> None:
    """A process is gone: a worker, a driver, or another node's manager."""
    node = message.node or (message.address if message.kind == "node" else "")
    first = node not in client.objects.dead
    if node:
        if first:
            client.creations.node_died(node, now)
        client_losses.node_died(client, node, message.reason, now)
        client.add(client.scheduler.node_died(node, message.reason, now))
    _gone(client, message, now)
    session = session_of(node)
    if session and first:
        for address in _known(client):
            if session_of(address) == session and address not in client.objects.dead:
                _gone(client, ProcessDied(address, "worker", 0, message.reason, node=node), now)


def _gone(client: ClientMachine, message: ProcessDied, now: float) -> None:
    client.add([Forget(message.address)])
    client.scheduler.worker_died(message, now)
    client.actors.worker_died(message.address, message.reason, now)
    client.objects.process_died(message.address)
    client.handoffs.process_died(message.address)


def _known(client: ClientMachine) -> list[str]:
    """Processes that this one has to do with, its leased workers apart."""
    return list(dict.fromkeys([*client.actors.processes, *client.objects.processes, *client.handoffs.receivers]))
