"""The ids that Ray's programs get as objects: ``ref.task_id()``, ``ray.JobID.from_hex(...)``, and so on.

Inside raynb an id is plain bytes; these wrap them for programs.
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar, Self

from raynb.runtime.messages import ids


class BaseID:
    """An id of so many bytes; compares, hashes and travels by them."""

    SIZE: ClassVar[int] = 28
    __slots__ = ("_id",)

    def __init__(self, id_bytes: bytes) -> None:
        if not isinstance(id_bytes, bytes):
            raise TypeError(f"Unsupported type: {type(id_bytes)}: an id is made from bytes")
        if len(id_bytes) != self.SIZE:
            name = type(self).__name__
            raise ValueError(
                f"ID string needs to have length {self.SIZE}: a {name} can't be made of {len(id_bytes)} bytes"
            )
        self._id = id_bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._id == self._id

    def __hash__(self) -> int:
        return hash(self._id)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._id,)

    def binary(self) -> bytes:
        return self._id

    def hex(self) -> str:
        return self._id.hex()

    def is_nil(self) -> bool:
        return self._id == b"\xff" * self.SIZE

    @classmethod
    def size(cls) -> int:
        """Bytes of such an id."""
        return cls.SIZE

    @classmethod
    def nil(cls) -> Self:
        return cls(b"\xff" * cls.SIZE)

    @classmethod
    def from_binary(cls, id_bytes: bytes) -> Self:
        return cls(id_bytes)

    @classmethod
    def from_hex(cls, hex_id: str) -> Self:
        return cls(bytes.fromhex(hex_id))

    @classmethod
    def from_random(cls) -> Self:
        """One that nothing has."""
        return cls(secrets.token_bytes(cls.SIZE))


class UniqueID(BaseID):
    """An id of anything."""


class NodeID(UniqueID):
    """Of a node."""


class WorkerID(UniqueID):
    """Of a worker process or a driver."""


class ClusterID(UniqueID):
    """Of a cluster."""


class FunctionID(UniqueID):
    """Of a function."""


class ActorClassID(UniqueID):
    """Of an actor class."""


class JobID(BaseID):
    """Of a driver's connection to the cluster."""

    SIZE = ids.JOB_ID_BYTES

    @classmethod
    def from_int(cls, value: int) -> JobID:
        return cls(value.to_bytes(cls.SIZE, "little"))

    def int(self) -> int:
        return int.from_bytes(self._id, "little")


class ActorID(BaseID):
    """Of an actor."""

    SIZE = ids.ACTOR_ID_BYTES

    @property
    def job_id(self) -> JobID:
        return JobID(self._id[-ids.JOB_ID_BYTES :])


class TaskID(BaseID):
    """Of a task."""

    SIZE = ids.TASK_ID_BYTES

    def job_id(self) -> JobID:
        return JobID(self._id[-ids.JOB_ID_BYTES :])


class PlacementGroupID(BaseID):
    """Of a placement group."""

    SIZE = 18
