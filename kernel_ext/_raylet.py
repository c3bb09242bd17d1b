"""Ids and references, and a cluster's keys, errors and output, under the names of ``ray._raylet``."""

from __future__ import annotations

from raynb._private.gcs_client import GcsClient, GcsClientOptions
from raynb._private.pubsub import GcsErrorSubscriber, GcsLogSubscriber
from raynb._private.sigint import DeferSigint
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.adapters.title import get_title as getproctitle
from raynb.runtime.adapters.title import set_title as setproctitle
from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client.dynamic import DynamicObjectRefGenerator
from raynb.runtime.client.ids import (
    ActorClassID,
    ActorID,
    BaseID,
    ClusterID,
    FunctionID,
    JobID,
    NodeID,
    PlacementGroupID,
    TaskID,
    UniqueID,
    WorkerID,
)
from raynb.runtime.client.refs import ObjectID, ObjectRef
from raynb.runtime.core.strategies import NODE_ID_LABEL as RAY_NODE_ID_KEY
from raynb.runtime.messages.errors import ObjectRefStreamEndOfStreamError

StreamingObjectRefGenerator = ObjectRefGenerator

__all__ = [
    "RAY_NODE_ID_KEY",
    "ActorClassID",
    "ActorID",
    "BaseID",
    "ClusterID",
    "DeferSigint",
    "DynamicObjectRefGenerator",
    "FunctionID",
    "GcsClient",
    "GcsClientOptions",
    "GcsErrorSubscriber",
    "GcsLogSubscriber",
    "JobID",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "ObjectRefStreamEndOfStreamError",
    "PlacementGroupID",
    "StreamingObjectRefGenerator",
    "TaskID",
    "UniqueID",
    "WorkerID",
    "getproctitle",
    "setproctitle",
]

__getattr__ = absent_names(
    "_raylet",
    dict.fromkeys(
        (
            "Config", "CoreWorker", "GCS_PID_KEY", "GCS_SERVER_PORT_NAME",
            "GcsErrorPublisher", "GcsLogPublisher", "GcsPublisher", "GlobalStateAccessor", "InnerGcsClient",
            "JavaFunctionDescriptor", "Language", "MessagePackSerializer", "Pickle5Writer",
            "PythonFunctionDescriptor", "PythonGCThread", "RayletClient", "SerializedObject", "StreamRedirector",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
