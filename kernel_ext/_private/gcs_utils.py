"""What the GCS knows, under the names of ``ray._private.gcs_utils``: it speaks a language of its own in raynb, so what
Ray has as messages of its protocol is absent (`raynb.differences`), but for the states of actors."""

from __future__ import annotations

from typing import Any, Final

from raynb._private.gcs_client import GcsClient
from raynb._private.protocol_enums import ErrorType, ProtocolEnum
from raynb.differences import OWN_WORKINGS, absent_names

__all__ = ["DRIVER", "WORKER", "ActorTableData", "ErrorType", "GcsClient"]

WORKER: Final = 0
DRIVER: Final = 1


class ActorState(ProtocolEnum):
    """By Ray's numbers."""

    DEPENDENCIES_UNREADY = 0
    PENDING_CREATION = 1
    ALIVE = 2
    RESTARTING = 3
    DEAD = 4


class ActorTableData:
    """The states of actors; there are no such messages."""

    ActorState = ActorState
    DEPENDENCIES_UNREADY: Final = ActorState.DEPENDENCIES_UNREADY
    PENDING_CREATION: Final = ActorState.PENDING_CREATION
    ALIVE: Final = ActorState.ALIVE
    RESTARTING: Final = ActorState.RESTARTING
    DEAD: Final = ActorState.DEAD

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise NotImplementedError(f"raynb has no messages of ray._private.gcs_utils: {OWN_WORKINGS}")


__getattr__ = absent_names(
    "_private.gcs_utils",
    dict.fromkeys(
        (
            "AvailableResources", "ErrorTableData", "GcsAioClient", "GcsChannel", "GcsEntry",
            "GcsNodeInfo", "JobConfig", "JobTableData", "PlacementGroupTableData", "PubSubMessage", "ResourceDemand",
            "ResourceLoad", "ResourceUsageBatchData", "ResourcesData", "TablePrefix", "TablePubsub", "TaskEvents",
            "TotalResources", "WorkerTableData", "check_health", "cleanup_redis_storage", "create_gcs_channel",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
