"""``raynb.util.state.common``: the kinds of rows, under Ray's names."""

from __future__ import annotations

from raynb.util.state import (
    LIMIT_MAX,
    ActorState,
    ClusterEventState,
    JobState,
    ListApiOptions,
    NodeState,
    ObjectState,
    PlacementGroupState,
    RuntimeEnvState,
    StateResource,
    TaskState,
    WorkerState,
)

DEFAULT_LIMIT = 100
DEFAULT_RPC_TIMEOUT = 30
RAY_MAX_LIMIT_FROM_API_SERVER = LIMIT_MAX

__all__ = [
    "DEFAULT_LIMIT",
    "DEFAULT_RPC_TIMEOUT",
    "RAY_MAX_LIMIT_FROM_API_SERVER",
    "ActorState",
    "ClusterEventState",
    "JobState",
    "ListApiOptions",
    "NodeState",
    "ObjectState",
    "PlacementGroupState",
    "RuntimeEnvState",
    "StateResource",
    "TaskState",
    "WorkerState",
]
