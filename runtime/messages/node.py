"""Messages between the processes of a node and its node manager: joining, leases, workers, deaths.

Leases. A client states for each of its scheduling classes how many workers it could use now (`LeaseDemand`, a level,
not a request: sent again whenever it changes, the last one counts). The node manager grants workers one by one as
resources allow, asks idle ones back when somebody else waits (`LeaseReclaim`), and takes them back when they die.
A blocked worker gives its CPU back, and takes it again without asking when it goes on.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from raynb.runtime.messages.config import Config
from raynb.runtime.messages.strategy import Strategy
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from raynb.runtime.messages.values import Dependency, Failed

NO_ROOM: Final = "NoRoom"
"""Kind of an `ActorStartFailed`."""


class WorkerSettings(Struct, array_like=True, frozen=True, gc=False):
    """What a worker process is born with: the node manager -> forkserver -> the forked child. Not a message between
    peers."""

    token: str
    """Names this spawn; the worker repeats it in `JoinNode`."""
    node_manager: str
    session_dir: str
    address: str
    """The endpoint that the worker binds."""
    page_path: str
    """Its page (`raynb.runtime.adapters.worker_page`)."""
    log_path: str
    """Where its output goes, without the ending: see `logs`."""
    config: bytes = b""
    """msgpack of the cluster's `Config`."""

    @property
    def logs(self) -> tuple[str, str]:
        """The files of its standard output and its standard error."""
        return f"{self.log_path}.out", f"{self.log_path}.err"


class JoinNode(Struct, array_like=True, gc=False, tag=50):
    """Client -> node manager, its first message.

    ``kind`` is driver, worker or guest (a Jupyter server: no cluster ends, or stays, because of one). ``grace_s``: how
    long the cluster may live on after this driver died without saying goodbye (0 for one that joined a cluster that
    lives until ``raynb stop``).
    """

    kind: str
    pid: int
    token: str
    """For a worker, the token under which it was spawned; for a driver, its name for people (script or notebook)."""
    raynb_version: str
    python_version: str
    protocol: int
    job: bytes = b""
    namespace: str = ""
    grace_s: float = 0.0


class NodeJoined(Struct, array_like=True, gc=False, tag=51):
    """Node manager -> client, which may now do everything else."""

    node_id: bytes
    worker_id: bytes
    gcs: str
    session: str
    store_prefix: str
    """Segments are ``/dev/shm/<store_prefix><segment>``."""
    resources: dict[str, float]
    config: Config
    """The cluster's."""
    error: str = ""
    """Not empty: joining is refused, and why (versions of Python or of the protocol that differ, say)."""
    spill_prefix: str = ""
    """The path at which those on disk begin; empty: there are none."""
    labels: dict[str, str] = {}
    """Of the node."""
    dead_owners: list[str] = []
    """Owners of objects here that have died: whoever joins later makes no view of theirs, as `OwnerGone` says."""


class LeaveNode(Struct, array_like=True, gc=False, tag=52):
    """Client -> node manager: an orderly goodbye.

    ``returns``: another process will soon take its place (its kernel restarts), so that a cluster of its own waits.
    ``why``: for people, where somebody has asked for it.
    """

    returns: bool = False
    why: str = ""


class LeaseDemand(Struct, array_like=True, gc=False, tag=53):
    """Client -> node manager: for class ``key`` (the client's own number) it could use ``count`` workers in all."""

    key: int
    resources: dict[str, float]
    count: int
    name: str = ""
    """For people: a function that waits."""
    runtime_env: str = ""
    """Canonical JSON of the runtime_env; workers are not shared between different ones."""
    retriable: bool = True
    """Whether all its tasks may be tried again: whom to stop where memory runs out."""
    home: str = ""
    """The manager of the client's own node; empty: this is it."""
    sent_on: bool = False
    """Another manager has sent it here: it is not to be sent on."""
    wait: bool = True
    """With ``sent_on``; False: what is not granted at once is declined."""
    heeded: int = 0
    """The number of the last `LeaseSpill` that the client has heeded."""
    strategy: Strategy | None = None
    """Where it is to run; None: wherever there is room."""
    number: int = 0
    """With ``sent_on``: counts what the client has stated to others than its home."""


class LeaseGranted(Struct, array_like=True, gc=False, tag=54):
    """Node manager -> client, and with the same content -> worker (which then accepts this lease alone)."""

    key: int
    lease: int
    worker: str
    worker_id: bytes
    pid: int
    client: str
    resources: dict[str, float] = {}
    node_id: bytes = b""
    runtime_env: str = ""
    """As in `LeaseDemand`: a worker that never had another one gets it with its first lease."""
    gpus: list[str] = []
    """The names of those that it has, for ``CUDA_VISIBLE_DEVICES``."""


class LeaseReturned(Struct, array_like=True, gc=False, tag=55):
    """Client -> node manager: it has no unfinished task there."""

    lease: int


class LeaseReclaim(Struct, array_like=True, gc=False, tag=56):
    """Node manager -> client: somebody waits for these resources; return leases that are idle, now and as they get
    so."""

    leases: list[int]


class LeaseInfeasible(Struct, array_like=True, gc=False, tag=57):
    """Node manager -> client: no node of this cluster can ever meet the demand (as it is now); it stays queued.

    ``key`` 0: that of an actor which the client has created.
    """

    key: int
    message: str
    kind: str = ""
    """Not empty: it never will be, and this is the error of all that waits."""


class WorkerBlocked(Struct, array_like=True, gc=False, tag=58):
    """Worker -> node manager: its task waits in ``get`` or ``wait``; its CPUs are free for others meanwhile."""


class WorkerUnblocked(Struct, array_like=True, gc=False, tag=59):
    """Worker -> node manager: it goes on."""


class WorkerRetires(Struct, array_like=True, gc=False, tag=252):
    """Worker -> node manager: it is to be given to nobody any more; it leaves when what it started has ended."""


class CollectGarbage(Struct, array_like=True, gc=False, tag=253):
    """Client -> node manager -> its other clients and, with ``everywhere``, other node managers: have Python collect
    what is garbage, for it may hold references."""

    everywhere: bool = False


LOG_END: Final = "The end of its log:"
"""In the reason of a worker's end, before its last lines."""


class ProcessDied(Struct, array_like=True, gc=False, tag=60):
    """Node manager -> its clients and the GCS (which passes it on to other nodes).

    Attributes
    ----------
    address
        Of the dead process. Whatever it still sends afterwards is refused.
    kind
        worker | driver | node
    reason
        For people: the signal or exit code, and the last log lines.
    lease, last_seq
        For a leased worker: every push up to ``last_seq`` of that lease had been started (read from its page).
    intended
        True for an exit that was asked for (``exit_actor``, ``kill``, an idle worker reaped).
    actor_id, incarnation
        For a worker that had an actor, whether or not its constructor had returned.
    out_of_memory
        The node manager ended it because memory ran out.
    node
        Not empty: it died with its node, whose manager this was. What it had started is not known then.
    """

    address: str
    kind: str
    pid: int
    reason: str
    lease: int = 0
    last_seq: int = 0
    intended: bool = False
    actor_id: bytes = b""
    incarnation: int = 0
    out_of_memory: bool = False
    node: str = ""


class ExitWorker(Struct, array_like=True, gc=False, tag=61):
    """Node manager -> worker: exit when idle (``force``: now)."""

    force: bool = False


class KillWorker(Struct, array_like=True, gc=False, tag=62):
    """Client -> node manager (forced cancel) or GCS -> node manager (kill of an actor): end this process.

    With ``actor_id``: end whatever process has, or is about to get, this incarnation of the actor, and forget its
    start if it still waits for one (``worker`` may then be empty).
    """

    worker: str
    reason: str
    actor_id: bytes = b""
    incarnation: int = 0


class StartActor(Struct, array_like=True, gc=False, tag=63):
    """GCS -> node manager: lease a worker for an actor and pass this on to it; node manager -> worker, with resources
    taken.

    The worker runs the constructor and answers the GCS with `ActorStarted`.
    """

    actor_id: bytes
    incarnation: int
    """How many times the actor has been started before."""
    cls: FunctionDef
    args: bytes
    buffers: list[bytes] | None
    deps: list[Dependency] | None
    context: ContextDef
    resources: dict[str, float]
    owner: str
    name: str = ""
    max_concurrency: int = 0
    """0: the default (1; 1000 for an async actor)."""
    groups: dict[str, int] = {}
    runtime_env: str = ""
    task_id: bytes = b""
    in_order: bool = True
    restarts: bool = False
    """Whether it is started again if its process dies."""
    placing: int = 0
    """How many times this GCS has picked another node for this incarnation."""
    strategy: Strategy | None = None
    """As in `LeaseDemand`."""
    gpus: list[str] = []
    """Node manager -> worker: as in `LeaseGranted`."""


class StopNode(Struct, array_like=True, gc=False, tag=64):
    """Client or command line -> node manager: end the whole cluster (head) or this node, in an orderly way."""

    reason: str


class NodeStatus(Struct, array_like=True, gc=False, tag=65):
    """Node manager -> GCS, each second and whenever it changes much."""

    node_id: bytes
    available: dict[str, float]
    store_used_bytes: int
    store_capacity_bytes: int
    store_objects: int
    workers: int
    demand: dict[str, float]
    cpu_percent: float = 0.0
    memory_used_bytes: int = 0
    memory_total_bytes: int = 0
    groups: dict[str, tuple[float, float]] = {}
    """Placement groups' resources here, in all and what is free of them; told where there are several nodes."""
    store_object_bytes: int = 0
    """Of complete objects, in memory and on disk."""
    store_spilled_bytes: int = 0
    """On disk."""


class WorkerListing(Struct, array_like=True, frozen=True, gc=False):
    worker_id: bytes
    address: str
    pid: int
    kind: str
    state: str
    """starting | idle | leased | actor | blocked | dead"""
    actor_id: bytes = b""
    started: float = 0.0
    ended: float = 0.0
    reason: str = ""


class WorkerTable(Struct, array_like=True, gc=False, tag=66):
    """Node manager -> GCS: the workers that changed since the last one."""

    node_id: bytes
    workers: list[WorkerListing]


class ActorStartFailed(Struct, array_like=True, gc=False, tag=67):
    """Node manager -> GCS: it could not start it (not enough resources ever, worker died while starting).

    The kind `NO_ROOM` is no failure: another node is to be picked.
    """

    actor_id: bytes
    incarnation: int
    failure: Failed
    placing: int = 0


class WhyWaiting(Struct, array_like=True, gc=False, tag=68):
    """Client -> node manager: why does the demand ``key`` wait? Answered by a `Reply` of JSON text.

    ``client``: of another client than the sender. With ``actor_id``: why does this actor wait for a worker?
    """

    request: int
    key: int
    client: str = ""
    actor_id: bytes = b""


class StoreUsage(Struct, array_like=True, gc=False, tag=69):
    """Client -> node manager. Answered by a `Reply`: JSON with used_bytes, capacity_bytes, objects, holders (largest
    first), waiting (processes that wait for room, the longest first)."""

    request: int


class LocateObject(Struct, array_like=True, gc=False, tag=72):
    """Guest -> node manager: where does this object lie? Answered by a `Reply`: JSON of a `Place`, or a KeyError.

    Whoever reads there without a reference asks again afterwards: the same answer says that it has lain there
    throughout, since nothing is granted twice."""

    request: int
    oid: bytes


class AreAlive(Struct, array_like=True, gc=False, tag=70):
    """Client -> node manager: these processes don't answer. For each that is not there (any more) comes a
    `ProcessDied`, as for a death that was told before the asker had joined.

    A node manager passes on what is of another node, with the ``asker``."""

    addresses: list[str]
    asker: str = ""


class ScaleNode(Struct, array_like=True, gc=False, tag=71):
    """Client -> node manager: offer so many CPUs from now on. Answered by a `Reply` when the GCS knows it: JSON with
    ``held``, the CPUs that are in use.

    What runs goes on: with fewer CPUs, what is available is negative until enough of it has ended.
    """

    request: int
    num_cpus: float
