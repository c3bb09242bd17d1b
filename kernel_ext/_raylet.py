"""Ids and references, under the names of ``ray._raylet``."""

from __future__ import annotations

from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client.dynamic import DynamicObjectRefGenerator
from raynb.runtime.client.ids import (
    ActorClassID,
    ActorID,
    BaseID,
    FunctionID,
    JobID,
    NodeID,
    PlacementGroupID,
    TaskID,
    UniqueID,
    WorkerID,
)
from raynb.runtime.client.refs import ObjectID, ObjectRef
from raynb.runtime.messages.errors import ObjectRefStreamEndOfStreamError

StreamingObjectRefGenerator = ObjectRefGenerator

__all__ = [
    "ActorClassID",
    "ActorID",
    "BaseID",
    "DynamicObjectRefGenerator",
    "FunctionID",
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
]
