"""What a third party does to tasks, actors and objects of others: a guest asks the GCS, whoever is stalled or dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raynb.runtime.core.task import DONE
from raynb.runtime.messages import Message
from raynb.runtime.messages.acts import ActRequest
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.values import Inline, Stored
from tests.sim.show import name_id
from tests.sim.workload import Deed
from tests.sim.world import Violation

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

REPEAT_S = 1.0
ANSWERED_S = 2.0
"""The GCS's patience, and what slow connections add to it."""


class Guest:
    """Does the deeds of a plan. Each must be answered soon, unless the GCS itself is away."""

    kind = "guest"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.address = "guest"
        self.alive = True
        self._asked: dict[int, tuple[Deed, bytes, float]] = {}
        """By number: what, and since when the GCS could have heard of it."""
        self._number = 0
        self.answered = 0
        if cluster.plan.deeds:
            cluster.network.join(self)
        for deed in cluster.plan.deeds:
            cluster.world.at(deed.at_s, self._do, deed)

    def _do(self, deed: Deed) -> None:
        target = self._target(deed)
        if not target:
            return
        oracle = self._cluster.oracle
        if deed.action == "cancel":
            oracle.cancel_asked(target + FIRST_RETURN, recursive=True, force=False)
        elif deed.action == "kill_actor":
            oracle.kill_asked(target)
        else:
            oracle.facts.freed.add(target)
        self._number += 1
        self._asked[self._number] = deed, target, self._cluster.world.now
        self._ask(self._number)

    def _target(self, deed: Deed) -> bytes:
        oracle = self._cluster.oracle
        found: list[bytes]
        if deed.action == "cancel":
            found = [task_id for task_id, facts in oracle.facts.tasks.items() if facts.task.state is not DONE]
        elif deed.action == "kill_actor":
            found = list(oracle.facts.actors)
        else:
            objects = [
                (oid, entry)
                for client in self._cluster.living_clients
                for oid, entry in client.machine.objects.entries.items()
                if not entry.owner and isinstance(entry.value, Inline | Stored)
            ]
            read = [oid for oid, entry in objects if entry.views or entry.borrowers]
            found = read if read and deed.which % 2 else [oid for oid, _ in objects]
        return found[deed.which % len(found)] if found else b""

    def _ask(self, number: int) -> None:
        """Again and again, as a guest does."""
        if number not in self._asked or not self._cluster.node.alive:
            return
        deed, target, since = self._asked[number]
        cluster = self._cluster
        if not cluster.gcs.alive or not hasattr(cluster.gcs, "machine"):
            self._asked[number] = deed, target, cluster.world.now
        elif cluster.world.now - since > ANSWERED_S and cluster.gcs.machine.members.settled:
            raise Violation(f"{deed.action} of {name_id(target)} was not answered within {ANSWERED_S:g} s")
        cluster.network.send(self.address, cluster.gcs_address, ActRequest(number, deed.action, target.hex()))
        cluster.world.after(REPEAT_S, self._ask, number)

    def receive(self, sender: str, message: Message) -> None:
        """An answer."""
        if not isinstance(message, Reply) or message.request not in self._asked:
            return
        deed, target, _ = self._asked.pop(message.request)
        self.answered += 1
        error: Any = message.error
        self._cluster.world.note(self.address, deed.action, f"{name_id(target)}: {error.message if error else 'done'}")
        if error is None and deed.action == "cancel":
            self._cluster.oracle.buried(target)
