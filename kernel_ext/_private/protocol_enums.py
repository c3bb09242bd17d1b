"""Names and numbers of Ray's protocol, under the names of ``ray.core.generated.common_pb2``: raynb sends no such
messages, but programs name what can be in them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ErrorType", "ProtocolEnum", "TaskStatus", "TaskType", "WorkerType"]


class ProtocolEnum(IntEnum):
    """Numbers with names, which are asked for as of an enumeration of Ray's protocol."""

    @classmethod
    def Name(cls, number: int) -> str:
        """Of a number."""
        return cls(number).name

    @classmethod
    def Value(cls, name: str) -> int:
        """Of a name."""
        return cls[name].value


class TaskStatus(ProtocolEnum):
    """How far a task is."""

    NIL = 0
    PENDING_ARGS_AVAIL = 1
    PENDING_NODE_ASSIGNMENT = 2
    PENDING_OBJ_STORE_MEM_AVAIL = 3
    PENDING_ARGS_FETCH = 4
    SUBMITTED_TO_WORKER = 5
    PENDING_ACTOR_TASK_ARGS_FETCH = 6
    PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY = 7
    RUNNING = 8
    RUNNING_IN_RAY_GET = 9
    RUNNING_IN_RAY_WAIT = 10
    FINISHED = 11
    FAILED = 12
    GETTING_AND_PINNING_ARGS = 13


class TaskType(ProtocolEnum):
    """What kind of task it is."""

    NORMAL_TASK = 0
    ACTOR_CREATION_TASK = 1
    ACTOR_TASK = 2
    DRIVER_TASK = 3


class WorkerType(ProtocolEnum):
    """What kind of process it is."""

    WORKER = 0
    DRIVER = 1
    SPILL_WORKER = 2
    RESTORE_WORKER = 3


class ErrorType(ProtocolEnum):
    """Why a task failed."""

    WORKER_DIED = 0
    ACTOR_DIED = 1
    TASK_EXECUTION_EXCEPTION = 3
    OBJECT_IN_PLASMA = 4
    TASK_CANCELLED = 5
    ACTOR_CREATION_FAILED = 6
    RUNTIME_ENV_SETUP_FAILED = 7
    OBJECT_LOST = 8
    OWNER_DIED = 9
    OBJECT_DELETED = 10
    DEPENDENCY_RESOLUTION_FAILED = 11
    OBJECT_UNRECONSTRUCTABLE_MAX_ATTEMPTS_EXCEEDED = 12
    OBJECT_UNRECONSTRUCTABLE_LINEAGE_EVICTED = 13
    OBJECT_FETCH_TIMED_OUT = 14
    LOCAL_RAYLET_DIED = 15
    TASK_PLACEMENT_GROUP_REMOVED = 16
    ACTOR_PLACEMENT_GROUP_REMOVED = 17
    TASK_UNSCHEDULABLE_ERROR = 18
    ACTOR_UNSCHEDULABLE_ERROR = 19
    OUT_OF_DISK_ERROR = 20
    OBJECT_FREED = 21
    OUT_OF_MEMORY = 22
    NODE_DIED = 23
    END_OF_STREAMING_GENERATOR = 24
    ACTOR_UNAVAILABLE = 25
