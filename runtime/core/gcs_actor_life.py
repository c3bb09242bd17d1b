"""One actor as the GCS knows it: what was asked for, where its life stands, how it came there.

The life is this table; the names of the states are those of Ray's state API:

    DEPENDENCIES_UNREADY --durable--> PENDING_CREATION --started--> ALIVE --lost--> RESTARTING --started--> ALIVE
                                             |                        |                 |
                                             +--------- ended --------+------ ended ----+--> DEAD

*lost*: its process or its node is gone, and it may be started again; *ended*: it is not started again, for whatever
reason. What `DEAD` keeps is a `Failed` that says why. One that ended because nobody referred to it may be *revived*,
and is DEPENDENCIES_UNREADY again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from raynb.runtime.core.gcs_effects import Write
from raynb.runtime.messages.gcs import ActorProcess, ActorState, CreateActor
from raynb.runtime.messages.values import Failed, about_actor

SPEC_TABLE: Final = "actors"
LIFE_TABLE: Final = "actor_lives"
OUT_OF_MEMORY: Final = "OutOfMemoryError"

DEPENDENCIES_UNREADY: Final = "DEPENDENCIES_UNREADY"
PENDING_CREATION: Final = "PENDING_CREATION"
ALIVE: Final = "ALIVE"
RESTARTING: Final = "RESTARTING"
DEAD: Final = "DEAD"

STORY_LENGTH_MAX: Final = 16


class Cause(Enum):
    """What moves a life on."""

    DURABLE = "durable"
    STARTED = "started"
    LOST = "lost"
    ENDED = "ended"
    REVIVED = "revived"


TRANSITIONS: Final = MappingProxyType(
    {
        (DEPENDENCIES_UNREADY, Cause.DURABLE): PENDING_CREATION,
        (DEPENDENCIES_UNREADY, Cause.ENDED): DEAD,
        (PENDING_CREATION, Cause.STARTED): ALIVE,
        (PENDING_CREATION, Cause.LOST): RESTARTING,
        (PENDING_CREATION, Cause.ENDED): DEAD,
        (ALIVE, Cause.LOST): RESTARTING,
        (ALIVE, Cause.ENDED): DEAD,
        (RESTARTING, Cause.STARTED): ALIVE,
        (RESTARTING, Cause.LOST): RESTARTING,
        (RESTARTING, Cause.ENDED): DEAD,
        (DEAD, Cause.REVIVED): DEPENDENCIES_UNREADY,
    }
)


class InvalidTransition(Exception):
    """The machine itself is wrong; the message tells this actor's story."""


class LifeRecord(Struct, array_like=True, frozen=True, gc=False):
    """The part of an actor that changes, as it stands in the store."""

    state: str
    incarnation: int
    node_id: bytes
    worker: str
    pid: int
    failure: Failed | None
    repr_name: str
    creator: str
    process: ActorProcess | None = None
    started: float = 0.0
    ended: float = 0.0
    unreferenced: bool = False


@dataclass(slots=True, eq=False)
class Actor:
    """An actor in the table."""

    spec: CreateActor
    creator: str
    """Address of the process that sent `CreateActor`."""
    state: str = DEPENDENCIES_UNREADY
    incarnation: int = 0
    node_id: bytes = b""
    """Where it lives or is being started; empty while no node is picked."""
    placing: int = 0
    """How many times another node was picked for this incarnation."""
    worker: str = ""
    """Known from `ActorStarted`, or before that from the node manager."""
    pid: int = 0
    process: ActorProcess | None = None
    ip: str = ""
    """Of the node that it lives on; not known of what was loaded."""
    failure: Failed | None = None
    repr_name: str = ""
    watchers: dict[str, None] = field(default_factory=dict)
    lost_because: str = ""
    """How its last process has ended, if that is its end no longer."""
    restart_asked: bool = False
    """It was killed with leave to be restarted: its process's end is no end of it."""
    alive_since: float = 0.0
    started: float = 0.0
    """When its present or last process was ready, in seconds since the epoch; 0: never."""
    ended: float = 0.0
    """When it died for good."""
    unreferenced: bool = False
    """It ended because nobody referred to it."""
    early_deaths: int = 0
    """In a row; they slow the next restart down."""
    resend_pause_s: float = 0.0
    told: ActorState | None = None
    """What watchers were told last."""
    story: deque[str] = field(default_factory=lambda: deque(maxlen=STORY_LENGTH_MAX))

    @property
    def id(self) -> bytes:
        return self.spec.creation.actor_id

    @property
    def owner(self) -> str:
        return self.spec.creation.owner

    @property
    def ends_with(self) -> str:
        """Address of the process with which it ends; empty: it outlives all. Only its creator can bring on one that
        still waits for what it is given."""
        if self.spec.awaits:
            return self.creator
        return "" if self.spec.detached else self.owner

    @property
    def job(self) -> bytes:
        return self.spec.creation.context.job

    @property
    def durable_state(self) -> str:
        """What the store is told: what is read back from there is durable."""
        return PENDING_CREATION if self.state == DEPENDENCIES_UNREADY and not self.spec.awaits else self.state

    @property
    def may_restart(self) -> bool:
        """Whether ``max_restarts`` leaves one."""
        return self.spec.max_restarts == -1 or self.incarnation < self.spec.max_restarts

    @property
    def revivable(self) -> bool:
        """Whether it may live again to make what is lost: that counts as a restart."""
        return self.state == DEAD and self.unreferenced and self.may_restart

    def revive(self, spec: CreateActor) -> None:
        """Begin a new life, of what its creator gives it now."""
        self.move(Cause.REVIVED, f"what it made is lost ({spec.revival})")
        self.spec = spec
        self.incarnation += 1
        self.placing, self.resend_pause_s, self.early_deaths = 0, 0.0, 0
        self.node_id, self.worker, self.pid, self.process = b"", "", 0, None
        self.failure, self.unreferenced, self.ended = None, False, 0.0

    def __repr__(self) -> str:
        return f"<Actor {self.spec.class_name} {self.id.hex()} {self.state} #{self.incarnation}>"

    def move(self, cause: Cause, why: str) -> None:
        """Go on to the next state.

        Raises
        ------
        InvalidTransition
            The table has no such step.
        """
        after = TRANSITIONS.get((self.state, cause))
        if after is None:
            story = "\n  ".join(self.story)
            raise InvalidTransition(f"{self!r} can't be {cause.value} ({why}):\n  {story}")
        self.story.append(f"{self.state} --{cause.value}--> {after}: {why}")
        self.state = after

    def died(self, why: str, *, out_of_memory: bool = False) -> Failed:
        """The error of calls to it. ``out_of_memory``: its node has stopped it for want of memory."""
        name = f" {self.spec.name!r}" if self.spec.name else ""
        text = f"Actor {self.spec.class_name}{name} ({self.id.hex()}): The actor is dead because {why}"
        return Failed(OUT_OF_MEMORY if out_of_memory else "ActorDiedError", text, actor=self.id, about=self._about())

    def _about(self) -> str:
        process = self.process
        pid = process.pid if process is not None else 0
        return about_actor(self.spec.class_name, pid, self.spec.name, self.spec.namespace, self.ip)

    def announcement(self) -> ActorState:
        """What watchers are told."""
        return ActorState(
            self.id,
            self.state,
            self.incarnation,
            self.worker if self.state in (ALIVE, DEAD) else "",
            self.failure,
            self.spec.max_task_retries,
            self.process,
            self.revivable,
            self.lost_because if self.state == RESTARTING else "",
        )

    def unavailable(self, reason: str) -> ActorState:
        """What watchers are told while what became of it can't be made durable: calls fail, and it may come back."""
        text = f"Actor {self.spec.class_name} ({self.id.hex()}) can't be called now: {reason}"
        before = self.told or ActorState(self.id, DEPENDENCIES_UNREADY, 0)
        state = RESTARTING if before.state == ALIVE else before.state
        failure = Failed("ActorUnavailableError", text, actor=self.id)
        return ActorState(self.id, state, before.incarnation, "", failure, self.spec.max_task_retries)

    def description(self) -> bytes:
        """What `NamedActor` and `CreateActor` are answered."""
        spec = self.spec
        return msgspec.msgpack.encode(
            {
                "actor_id": self.id,
                "class_name": spec.class_name,
                "methods": spec.methods,
                "owner": self.owner,
                "job": self.job,
                "name": spec.name,
                "namespace": spec.namespace,
                "max_restarts": spec.max_restarts,
                "max_task_retries": spec.max_task_retries,
                "detached": spec.detached,
                "state": self.state,
            }
        )

    def spec_write(self) -> Write:
        """The part that never changes."""
        return Write(SPEC_TABLE, self.id, msgspec.msgpack.encode(self.spec))

    def life_write(self, state: str | None = None) -> Write:
        """The part that changes."""
        record = LifeRecord(
            state or self.state,
            self.incarnation,
            self.node_id,
            self.worker,
            self.pid,
            self.failure,
            self.repr_name,
            self.creator,
            self.process,
            self.started,
            self.ended,
            self.unreferenced,
        )
        return Write(LIFE_TABLE, self.id, msgspec.msgpack.encode(record))

    def deletion(self) -> list[Write]:
        """The store forgets it."""
        return [Write(SPEC_TABLE, self.id, None), Write(LIFE_TABLE, self.id, None)]

    def take_life(self, record: LifeRecord) -> None:
        """Be what the store says."""
        self.state, self.incarnation = record.state, record.incarnation
        self.node_id, self.worker, self.pid = record.node_id, record.worker, record.pid
        self.failure, self.repr_name = record.failure, record.repr_name
        self.process, self.started, self.ended = record.process, record.started, record.ended
        self.unreferenced = record.unreferenced
        self.told = self.announcement()
        self.story.append(f"loaded as {record.state}")


def context_of(failure: Failed) -> str:
    """Ray's name for what it tells of such an end."""
    if failure.constructor:
        return "creation_task_failure_context"
    return "oom_context" if failure.kind == OUT_OF_MEMORY else "actor_died_error_context"


def decode_spec(value: bytes) -> CreateActor:
    """A row of `SPEC_TABLE`."""
    return msgspec.msgpack.decode(value, type=CreateActor)


def decode_life(value: bytes) -> LifeRecord:
    """A row of `LIFE_TABLE`."""
    return msgspec.msgpack.decode(value, type=LifeRecord)
