"""After a start of the GCS: who was there before, and has died meanwhile?

Rules
-----
1. Looked at once all nodes that were there before are back or dead, and have listed their processes: then it is known
   which drivers and owners nobody has spoken of.
2. A list may be older than what the GCS has heard since: of who is not in it, the node's manager is asked, once.
3. Who is of a dead node is dead, and who is of a node that nobody knows when that has stayed so for a while
   (`Membership.gone`): it may be about to register.

Never knows what follows from a death.
"""

from __future__ import annotations

from collections.abc import Callable

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_actor_life import DEAD
from raynb.runtime.core.gcs_actors import ActorTable
from raynb.runtime.core.gcs_jobs import RUNNING, JobTable
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.node_identity import session_of
from raynb.runtime.core.placement_groups import PlacementGroups
from raynb.runtime.messages.node import AreAlive, ProcessDied


class Reconciliation:
    """See the module's rules.

    Parameters
    ----------
    bury
        All that follows from the end of a process.
    """

    def __init__(
        self,
        members: Membership,
        jobs: JobTable,
        actors: ActorTable,
        groups: PlacementGroups,
        bury: Callable[[ProcessDied, str, float], Effects],
    ) -> None:
        self._members = members
        self._jobs = jobs
        self._actors = actors
        self._groups = groups
        self._bury = bury
        self.begun = False
        """Set at a start with nothing from before: there is nobody to look for."""
        self._missing: dict[str, str] = {}
        """Nobody has spoken of them: address -> kind of process."""
        self._asked: set[str] = set()

    def __repr__(self) -> str:
        return f"<Reconciliation begun={self.begun} {len(self._missing)} missing>"

    def begin(self, now: float) -> Effects:
        """Look, if it is time (rule 1)."""
        members = self._members
        if self.begun or not (members.settled and members.told):
            return []
        self.begun = True
        effects: Effects = []
        for node in members.dead_nodes():
            # That became durable; what it means to what was there perhaps not.
            effects += self._groups.node_died(node.id, now)
            effects += self._actors.node_died(node.id, node.message, now)
        self._missing = {job.driver: "driver" for job in self._jobs.jobs.values() if job.status == RUNNING}
        for actor in self._actors.index.actors.values():
            if actor.state != DEAD and actor.ends_with:
                self._missing[actor.ends_with] = "worker"
        return effects + self.tick(now)

    def tick(self, now: float) -> Effects:
        """Look after those who are missing."""
        if not self._missing:
            return []
        members = self._members
        self._missing = {address: kind for address, kind in self._missing.items() if members.is_missing(address)}
        effects: Effects = []
        for died in members.gone(self._missing):
            kind = self._missing.pop(died.address)
            effects += self._bury(ProcessDied(died.address, kind, 0, died.reason), "", now)
        managers = {session_of(manager): manager for manager in members.managers()}
        ask: dict[str, list[str]] = {}
        for address in self._missing.keys() - self._asked:
            manager = managers.get(session_of(address))
            if manager is not None:
                ask.setdefault(manager, []).append(address)
                self._asked.add(address)
        return [*effects, *(Send(manager, AreAlive(sorted(found))) for manager, found in sorted(ask.items()))]
