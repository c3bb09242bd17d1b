"""The rest of the cluster, as actors and placement groups ask about it."""

from __future__ import annotations

from raynb.runtime.core.bundle_names import BUNDLE
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.placement import NodeView, to_units
from raynb.runtime.core.placement_groups import PlacementGroups


class GcsWorld:
    """Answers from the tables. ``groups`` is given later: groups ask this, too."""

    groups: PlacementGroups

    def __init__(self, members: Membership, jobs: JobTable) -> None:
        self._members = members
        self._jobs = jobs

    def place(self, resources: dict[str, float]) -> bytes:
        for name in resources:
            if name.startswith(f"{BUNDLE}_group_"):
                return self.groups.node_of_bundle(name)
        return self._members.place(resources)

    def is_removed(self, group: bytes) -> bool:
        return self.groups.is_removed(group)

    def views(self) -> list[NodeView]:
        """The living nodes; what is free as they said last."""
        nodes = [node for node in self._members.nodes.values() if node.alive]
        return [NodeView(n.id, to_units(n.registration.resources), to_units(n.available)) for n in nodes]

    def manager_of(self, node_id: bytes) -> str:
        return self._members.manager_of(node_id)

    def settled(self) -> bool:
        return self._members.settled

    def is_dead(self, address: str) -> bool:
        return address in self._members.dead

    def is_alive(self, address: str) -> bool:
        return self._members.is_process(address)

    def job_ended(self, job: bytes) -> bool:
        return self._jobs.ended(job)
