"""Placement groups, as the state API lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raynb.runtime.core.group_layout import common_value
from raynb.runtime.core.placement import NodeView
from raynb.runtime.core.placement_groups import CREATED, REMOVED, Group

GROUP_FIELDS = (
    "placement_group_id",
    "name",
    "creator_job_id",
    "state",
    "bundles",
    "is_detached",
    "stats",
    "topology_strategy",
    "topology_assignments",
    "strategy",
    "ray_namespace",
)


_SCHEDULING = {CREATED: "FINISHED", REMOVED: "REMOVED"}


def group_row(group: Group, views: Sequence[NodeView]) -> dict[str, Any]:
    """Ray's fields; ``stats`` says how long a group has taken, or why it is not placed."""
    spec = group.spec
    hexed = spec.group.hex()
    state, nodes = group.seen
    return {
        "placement_group_id": hexed,
        "name": spec.name,
        "creator_job_id": spec.job.hex(),
        "state": state,
        "bundles": [
            {
                "bundle_id": {"placement_group_id": hexed, "bundle_index": index},
                "unit_resources": bundle,
                "node_id": node.hex(),
            }
            for index, (bundle, node) in enumerate(zip(spec.bundles, nodes, strict=True))
        ],
        "is_detached": spec.detached,
        "stats": {
            "creation_request_received_ns": str(round(group.asked * 1e9)),
            "scheduling_started_time_ns": str(round(group.tried * 1e9)),
            "scheduling_latency_us": _us(group.tried, group.placed),
            "end_to_end_creation_latency_us": _us(group.asked, group.placed),
            "highest_retry_delay_ms": group.delay_s_max * 1000,
            "scheduling_attempt": group.attempt & 0xFFFFF,
            "scheduling_state": _SCHEDULING.get(state) or ("NO_RESOURCES" if group.attempt & 0xFFFFF else "INFEASIBLE"),
            "why": "" if state == CREATED else group.why,
        },
        "topology_strategy": {spec.together: "STRICT_PACK"} if spec.together else None,
        "topology_assignments": {spec.together: common_value(spec.together, views, nodes)} if spec.together else None,
        "strategy": spec.strategy,
        "ray_namespace": spec.namespace,
    }


def _us(began: float, ended: float) -> str:
    """Microseconds, as text: so Ray's state API has them. 0 where one of the two is not known."""
    return str(max(0, round((ended - began) * 1e6))) if began and ended else "0"
