"""``raynb.util.state.common``: the kinds of rows, under Ray's names."""

from __future__ import annotations

from raynb.differences import OWN_WORKINGS, absent_names
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
DEFAULT_LOG_LIMIT = 1000
RAY_MAX_LIMIT_FROM_API_SERVER = LIMIT_MAX

__all__ = [
    "DEFAULT_LIMIT",
    "DEFAULT_LOG_LIMIT",
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

__getattr__ = absent_names(
    "util.state.common",
    dict.fromkeys(
        (
            "ActorSummaries", "ActorSummaryPerClass", "GetApiOptions", "GetLogOptions", "Humanify", "JobDetails",
            "ListApiResponse", "NestedTaskSummary", "ObjectSummaries", "ObjectSummaryPerKey", "StateSchema",
            "StateSummary", "SummaryApiOptions", "SummaryApiResponse", "SummaryResource", "TaskSummaries",
            "TaskSummaryPerFuncOrClassName", "filter_fields", "protobuf_message_to_dict",
            "protobuf_to_task_state_dict", "resource_to_schema", "state_column",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
