"""The rest of the cluster, as actors and placement groups ask about it."""

from __future__ import annotations

from raynb.runtime.core.bundle_names import BUNDLE
from raynb.runtime.core.gcs_actor_life import DEAD
from raynb.runtime.core.gcs_actors import ActorTable
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.placement import NodeView, fits, to_units
from raynb.runtime.core.placement_groups import PlacementGroups
from raynb.runtime.core.strategies import says, share_out, wanted, why_never, why_not_now
from raynb.runtime.messages.strategy import Strategy


class GcsWorld:
    """Answers from the tables. ``groups`` and ``actors`` are given later: they ask this, too."""

    groups: PlacementGroups
    actors: ActorTable

    def __init__(self, members: Membership, jobs: JobTable, wall_offset_s: float) -> None:
        self._members = members
        self._wall_offset_s = wall_offset_s
        self._after = b""
        """The node that had the last turn where actors are spread."""
        self._jobs = jobs

    def place(self, resources: dict[str, float], strategy: Strategy | None = None) -> bytes:
        """A node by the same policies by which node managers send tasks on."""
        bundles = [self.groups.held(name) for name in resources if name.startswith(f"{BUNDLE}_group_")]
        if bundles:
            # Of one bundle, there is a name for that one beside the one for all.
            return self._members.place_in_group(resources, min(bundles, key=len))
        if strategy is None:
            return self._members.place(resources)
        need = to_units(resources)
        found = wanted(strategy, need, self._members.views())
        if strategy.fails:
            found = [node for node in found if fits(need, node.available)]
        if not found and says(strategy):
            return b""
        if strategy.spread:
            shares, self._after = share_out(need, 1, found, self._after)
            found = [node for node in found if node.manager in shares] or found
        elif strategy.spills and not any(fits(need, node.available) for node in found):
            found = self._members.views()
        return self._members.place(resources, {node.node_id for node in found} or None)

    def never(self, resources: dict[str, float], strategy: Strategy | None) -> str:
        """Why there never will be a node for this strategy; empty if there may be."""
        if strategy is None:
            return ""
        never = why_never("it", strategy, to_units(resources), self._members.views())
        return never or (why_not_now("it", strategy) if strategy.fails else "")

    def is_removed(self, group: bytes) -> bool:
        return self.groups.is_removed(group)

    def views(self) -> list[NodeView]:
        """The living nodes; what is free as they said last."""
        return self._members.views()

    def manager_of(self, node_id: bytes) -> str:
        return self._members.manager_of(node_id)

    def ip_of(self, node_id: bytes) -> str:
        node = self._members.nodes.get(node_id)
        return node.registration.ip if node is not None else ""

    def settled(self) -> bool:
        return self._members.settled

    def is_dead(self, address: str) -> bool:
        return address in self._members.dead

    def is_alive(self, address: str) -> bool:
        return self._members.is_process(address)

    def job_ended(self, job: bytes) -> bool:
        return self._jobs.ended(job)

    def wall(self, now: float) -> float:
        """Seconds since the epoch, for display."""
        return now + self._wall_offset_s

    def lives(self, actor: bytes, incarnation: int) -> bool:
        """Whether an actor is still in this life of it."""
        known = self.actors.index.actors.get(actor)
        return known is not None and known.state != DEAD and known.incarnation == incarnation
