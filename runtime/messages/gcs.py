"""Messages to and from the GCS: nodes, jobs, actors, names, keys, queries.

What changes the cluster's lasting state is acknowledged only after it is durable. Requests carry a number that the
`Reply` (or `ActorState`) repeats; a client repeats a request that was not answered within a second, and the GCS
answers a repeated one as the first time.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.values import Failed


class RegisterNode(Struct, array_like=True, gc=False, tag=80):
    """Node manager -> GCS, at its start and again whenever the GCS was restarted."""

    node_id: bytes
    address: str
    pid: int
    hostname: str
    ip: str
    is_head: bool
    resources: dict[str, float]
    labels: dict[str, str]
    started: float
    actors: list[tuple[bytes, int, str]] = []
    """Actors that live there now (id, incarnation, worker address): what a restarted GCS must not start again."""


class NodeRegistered(Struct, array_like=True, gc=False, tag=81):
    """GCS -> node manager. ``epoch`` counts the GCS's own starts."""

    epoch: int


class RegisterJob(Struct, array_like=True, gc=False, tag=82):
    """Driver -> GCS. Answered by a `Reply`."""

    request: int
    job: bytes
    driver: str
    pid: int
    namespace: str
    entrypoint: str
    started: float


class FinishJob(Struct, array_like=True, gc=False, tag=83):
    """Driver -> GCS (orderly) or node manager -> GCS (its driver died): actors that are not detached end with it."""

    job: bytes


class CreateActor(Struct, array_like=True, gc=False, tag=84):
    """Creator -> GCS: register (a taken name is refused), then start. Answered by a `Reply` once durable.

    ``creation`` has everything a restart needs.
    """

    request: int
    creation: StartActor
    name: str
    namespace: str
    detached: bool
    max_restarts: int
    max_task_retries: int
    class_name: str
    methods: bytes
    """What a handle obtained by name needs to know: opaque to the GCS."""
    call_site: str = ""
    get_if_exists: bool = False


class ActorStarted(Struct, array_like=True, gc=False, tag=85):
    """Worker -> GCS: the constructor returned, or failed."""

    actor_id: bytes
    incarnation: int
    worker: str
    pid: int
    node_id: bytes
    failure: Failed | None = None
    repr_name: str = ""


class WatchActor(Struct, array_like=True, gc=False, tag=86):
    """Caller -> GCS: answer with the `ActorState`, and again whenever it changes, as long as the caller lives."""

    actor_id: bytes


class ActorState(Struct, array_like=True, gc=False, tag=87):
    """GCS -> watchers. ``state`` is Ray's: DEPENDENCIES_UNREADY, PENDING_CREATION, ALIVE, RESTARTING, DEAD."""

    actor_id: bytes
    state: str
    incarnation: int
    worker: str = ""
    failure: Failed | None = None
    """For DEAD: what callers get."""
    max_task_retries: int = 0


class KillActor(Struct, array_like=True, gc=False, tag=88):
    """Client -> GCS. ``reason``: killed | out of scope | exited (the actor itself asks to end)."""

    actor_id: bytes
    no_restart: bool
    reason: str


class NamedActor(Struct, array_like=True, gc=False, tag=89):
    """Client -> GCS: which actor has this name? Answered by a `Reply` whose data is a msgpack map, or an error."""

    request: int
    name: str
    namespace: str


class KvPut(Struct, array_like=True, gc=False, tag=90):
    """Client -> GCS: durable when answered by a `Reply` (data: b"1" if the key was new, else b"0")."""

    request: int
    key: bytes
    value: bytes
    overwrite: bool = True


class KvGet(Struct, array_like=True, gc=False, tag=91):
    """Client -> GCS: answered by a `Reply`; a key that is not there is an error of kind KeyError."""

    request: int
    key: bytes


class KvDelete(Struct, array_like=True, gc=False, tag=92):
    """Client -> GCS, answered by a `Reply`."""

    request: int
    key: bytes


class Query(Struct, array_like=True, gc=False, tag=93):
    """Client -> GCS: a page of a table, answered by a `Reply` with a msgpack map ``{rows, total, dropped}``.

    ``table``: nodes | actors | tasks | task_summary | objects | workers | jobs | timeline | named_actors |
    resources (``{total, available}``) | store. ``filters`` are (field, "=" or "!=", value as text).
    """

    request: int
    table: str
    filters: list[tuple[str, str, str]] = []
    limit: int = 100
    id: str = ""
    detail: bool = False


class Reply(Struct, array_like=True, gc=False, tag=94):
    """Answer to a numbered request. ``error`` says that it was refused, and why."""

    request: int
    data: bytes = b""
    error: Failed | None = None


class Shutdown(Struct, array_like=True, gc=False, tag=95):
    """Node manager -> GCS: write what is not written, and exit."""
