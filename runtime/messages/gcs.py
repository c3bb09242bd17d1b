"""Messages to and from the GCS: nodes, jobs, actors, names, keys, queries.

What changes the cluster's lasting state is acknowledged only after it is durable. Requests carry a number that the
`Reply` (or `ActorState`) repeats; a client repeats a request that was not answered within a second, and the GCS
answers a repeated one as the first time.

The GCS may be killed at any moment and comes back at the same address with the next epoch. Whatever was under way then
is sent again by whoever waits for it, and all of it may safely arrive twice:

* A client repeats its numbered requests, and `WatchActor` for each actor that it has calls waiting for and doesn't know
  to be ALIVE or DEAD. The death of an actor's worker (`ProcessDied`) makes an ALIVE one unknown.
* A node manager sends `RegisterNode` when it has started the GCS again, repeats it until `NodeRegistered` comes, and
  after that sends its whole `WorkerTable`. It sends it too on a `NodeRegistered` that it did not ask for.
* The GCS repeats `StartActor` (same incarnation) while an actor has not answered: after a node registered, and with
  growing pauses. A node manager starts it if it doesn't know it, passes it on to the worker if it has given it one, and
  ignores it while it waits for resources. A worker that has it answers `ActorStarted` again, or nothing while the
  constructor runs.
* The event hub asks for names that it doesn't know (`SendNames`).
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
    processes: list[str] | None = None
    """Addresses of all living clients, drivers and workers, so that a restarted GCS learns of deaths that it missed;
    None: not told."""
    name: str = ""
    """For people; empty: its machine's."""


class NodeRegistered(Struct, array_like=True, gc=False, tag=81):
    """GCS -> node manager. ``epoch`` counts the GCS's own starts. Unasked, it means: register again."""

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
    notebook: str = ""
    """The id of the kernel that the driver is; empty for a script."""
    runtime_env: str = ""
    """What its tasks find, as JSON."""
    metadata: dict[str, str] = {}
    """What the driver has noted about it, for the state API."""


class FinishJob(Struct, array_like=True, gc=False, tag=83):
    """Driver -> GCS (orderly) or node manager -> GCS (its driver died): actors that are not detached end with it.

    Answered by a `Reply` once durable, if ``request`` is not 0.
    """

    job: bytes
    request: int = 0


class CreateActor(Struct, array_like=True, gc=False, tag=84):
    """Creator -> GCS: register (a taken name is refused), then start. Answered by a `Reply` once durable.

    ``creation`` has everything a restart needs. The reply's data is the map that `NamedActor` gives: of the actor that
    already has the name, if there is one and ``get_if_exists`` is set. A taken name is an ActorAlreadyExistsError.
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
    failure: Failed | None = None
    """Not None: it will never start, for its inputs have failed, say; whoever has a handle is to learn that."""
    awaits: bool = False
    """Its name is to be known now; its inputs are not there yet, and are told by another `CreateActor`."""
    revival: int = 0
    """Not 0: it ended because nobody referred to it, and lives again, the so manieth time, for what it made is lost."""
    follows: list[str] = []
    """Managers of nodes that have just died, as its creator has heard, maybe before the GCS. For it they are dead from
    now on, too: else it might be started there, and lose a restart."""


class ActorProcess(Struct, array_like=True, frozen=True, gc=False):
    """Where an actor lives, for display: nothing is decided by it.

    Attributes
    ----------
    began, took_s
        Wall-clock seconds at which the constructor began, and how long it took.
    concurrency
        So many calls it runs at once.
    """

    worker_id: bytes
    node_id: bytes
    pid: int
    began: float = 0.0
    took_s: float = 0.0
    concurrency: int = 1


class ActorStarted(Struct, array_like=True, gc=False, tag=85):
    """Worker -> GCS: the constructor returned, or failed."""

    actor_id: bytes
    incarnation: int
    worker: str
    pid: int
    node_id: bytes
    failure: Failed | None = None
    repr_name: str = ""
    process: ActorProcess | None = None


class WatchActor(Struct, array_like=True, gc=False, tag=86):
    """Caller -> GCS: answer with the `ActorState`, and again whenever it changes, as long as the caller lives.

    An actor that isn't registered yet is DEPENDENCIES_UNREADY, for 30 s and as long as its creator ``owner`` is known
    to live; then it is DEAD.
    """

    actor_id: bytes
    owner: str = ""


class ActorState(Struct, array_like=True, gc=False, tag=87):
    """GCS -> watchers. ``state`` is Ray's: DEPENDENCIES_UNREADY, PENDING_CREATION, ALIVE, RESTARTING, DEAD."""

    actor_id: bytes
    state: str
    incarnation: int
    worker: str = ""
    """Its process, if it is ALIVE; if it is DEAD, the process that it still may have."""
    failure: Failed | None = None
    """What callers get: for good, if DEAD; else for now (what became of it can't be made durable), until the next."""
    max_task_retries: int = 0
    process: ActorProcess | None = None
    """Where it lives, or has lived last."""
    revivable: bool = False
    """It is DEAD because nobody referred to it, and its creator may have it live again, to make what is lost."""
    why: str = ""
    """It is RESTARTING because its process has ended: how."""


class KillActor(Struct, array_like=True, gc=False, tag=88):
    """Client -> GCS. ``reason``: killed | out of scope | exited (the actor itself asks to end).

    Answered by a `Reply` once durable, if ``request`` is not 0. A killed actor's process is ended at once, by its node
    manager; one that is out of scope gets `ExitWorker`; one that exits does so itself. What is still there after
    ``Config.actor_end_patience_s`` is ended.

    Where it may be started again, ``incarnation`` is the one that is meant (-1: whichever lives), so that a repeated
    request does not end the next one too; so is ``revival`` where it is out of scope. The reply's data is the address
    of the process that is ended; empty: none is.
    """

    actor_id: bytes
    no_restart: bool
    reason: str
    request: int = 0
    incarnation: int = -1
    revival: int = 0


class NamedActor(Struct, array_like=True, gc=False, tag=89):
    """Client -> GCS: which actor has this name? Answered by a `Reply` whose data is a msgpack map, or a ValueError.

    The map: actor_id, class_name, methods, owner, job, name, namespace, max_restarts, max_task_retries, detached,
    state.
    """

    request: int
    name: str
    namespace: str
    actor_id: bytes = b""
    """Not empty: the actor with this id, whatever its name."""


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
    """Client -> GCS, answered by a `Reply` once durable (data: b"1" if the key was there, else b"0")."""

    request: int
    key: bytes


class KvKeys(Struct, array_like=True, gc=False, tag=96):
    """Client -> GCS: answered by a `Reply` with a msgpack list of the keys that begin so, as of the last durable
    writes."""

    request: int
    prefix: bytes


class Query(Struct, array_like=True, gc=False, tag=93):
    """Client -> GCS: a page of a table, answered by a `Reply` with a msgpack map ``{rows, total, dropped, ...}``.

    ``table``: nodes | actors | tasks | task_summary | objects | workers | jobs | timeline | named_actors |
    resources (one row ``{total, available}``) | store | references (objects, with a row for each process that holds
    one). ``filters`` are (field, "=" or "!=", value as text); an unknown field is a ValueError. Rows are maps with the
    fields of Ray's state API, ids in hex. With ``detail`` they have some more, and the summary is by job, too.
    ``total`` counts what matched before ``limit``; ``dropped`` what was not kept. ``id`` (hex): only what has this id.
    With ``after`` one pages through a timeline: from the position that the page before gave as ``next`` (0: the end).
    ``patience_s``: how long processes may take to say what they have, where they are asked; 0: not long.
    """

    request: int
    table: str
    filters: list[tuple[str, str, str]] = []
    limit: int = 100
    id: str = ""
    detail: bool = False
    after: int = 0
    patience_s: float = 0.0


class Reply(Struct, array_like=True, gc=False, tag=94):
    """Answer to a numbered request. ``error`` says that it was refused, and why."""

    request: int
    data: bytes = b""
    error: Failed | None = None


class ScreenRequest(Struct, array_like=True, gc=False, tag=125):
    """Guest -> GCS, on behalf of one of the screens that it serves. Every `SCREEN_SILENCE_S` at least, else the screen
    is forgotten.

    Attributes
    ----------
    screen
        The guest's own number of it.
    data
        JSON of a `raynb.runtime.messages.screen.Request`; empty: only ``taken`` is told.
    taken
        Bytes that the screen has taken in so far; -1: the screen has gone.
    """

    screen: int
    data: bytes = b""
    taken: int = 0


class ScreenTold(Struct, array_like=True, gc=False, tag=126):
    """GCS -> guest: JSON of a `raynb.runtime.messages.screen.Told` for one of its screens."""

    screen: int
    data: bytes


SCREEN_SILENCE_S = 60.0


class Shutdown(Struct, array_like=True, gc=False, tag=95):
    """Node manager -> GCS: write what is not written, and exit."""


class GcsSettings(Struct, array_like=True, frozen=True, gc=False):
    """What a GCS process is born with: msgpack on its standard input, which then ends. Not a message between peers.

    Exactly one of the three state stores is named. It is started before the store answers, and waits for it.
    """

    address: str
    """The endpoint that it binds; the same after each restart."""
    session_dir: str
    cluster_id: str
    redis_url: str = ""
    """The user's own server. A secret may be in it."""
    redis_directory: str = ""
    """Of the private server that the node manager runs (`raynb.runtime.adapters.redis_server`)."""
    sqlite_path: str = ""
    config: bytes = b""
    """msgpack of the cluster's `Config`."""
