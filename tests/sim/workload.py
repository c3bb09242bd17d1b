"""What the users of a simulated cluster do, and what goes wrong, as data: made by a seed, printed, cut down, kept.

A body is a list of operations on what its frame holds: references, actor handles, generators, views. An operation
names what it works on by numbers, taken modulo how many there are; where there is none it does nothing. So any part
of a plan can be left out, and the rest still makes sense.
"""

from __future__ import annotations

from msgspec import Struct

# -- operations


class Place(Struct, frozen=True):
    """Where something is to run: in a placement group (by number, of those that the frame holds).

    ``bundle``: in this one of it; -1: in any.
    """

    group: int
    bundle: int = -1


class Call(Struct, frozen=True, tag=True):
    """Submit a task. ``deps`` arrive as values, ``nested`` as references inside the arguments."""

    function: int
    deps: tuple[int, ...] = ()
    nested: tuple[int, ...] = ()
    place: Place | None = None


class Put(Struct, frozen=True, tag=True):
    """Make an object; ``contains`` are references inside it."""

    size: int
    contains: tuple[int, ...] = ()


class Get(Struct, frozen=True, tag=True):
    """Read references. ``keep``: hold the views and the references inside for longer."""

    which: tuple[int, ...]
    timeout_s: float | None = None
    keep: bool = False


class Wait(Struct, frozen=True, tag=True):
    which: tuple[int, ...]
    num_returns: int
    timeout_s: float | None = None


class Drop(Struct, frozen=True, tag=True):
    """Let a reference go."""

    which: int


class DropView(Struct, frozen=True, tag=True):
    """Let a view go, or read through it once more before (that is when freed memory shows)."""

    which: int


class Cancel(Struct, frozen=True, tag=True):
    which: int
    force: bool = False
    recursive: bool = True


class Sleep(Struct, frozen=True, tag=True):
    seconds: float


class Create(Struct, frozen=True, tag=True):
    """Create an actor."""

    cls: int
    deps: tuple[int, ...] = ()
    nested: tuple[int, ...] = ()
    place: Place | None = None


class Method(Struct, frozen=True, tag=True):
    """Call an actor."""

    handle: int
    method: int
    deps: tuple[int, ...] = ()
    nested: tuple[int, ...] = ()


class Kill(Struct, frozen=True, tag=True):
    handle: int
    no_restart: bool = True


class DropHandle(Struct, frozen=True, tag=True):
    which: int


class Find(Struct, frozen=True, tag=True):
    """Look an actor up by its name."""

    name: str


class Take(Struct, frozen=True, tag=True):
    """Take items of a generator."""

    which: int
    count: int


class Close(Struct, frozen=True, tag=True):
    """Let a generator go."""

    which: int


class Remember(Struct, frozen=True, tag=True):
    """In an actor: keep a reference beyond the call."""

    which: int


class Recall(Struct, frozen=True, tag=True):
    """In an actor: take a kept reference back into the frame."""

    which: int


class Forget(Struct, frozen=True, tag=True):
    """In an actor: let go of what was kept."""

    which: int


class ExitActor(Struct, frozen=True, tag=True):
    """In an actor: end it."""


class CreateGroup(Struct, frozen=True, tag=True):
    """Ask for a placement group; ``bundles`` are CPUs."""

    bundles: tuple[float, ...]
    strategy: str = "PACK"


class RemoveGroup(Struct, frozen=True, tag=True):
    which: int


Operation = (
    Call
    | Put
    | Get
    | Wait
    | Drop
    | DropView
    | Cancel
    | Sleep
    | Create
    | Method
    | Kill
    | DropHandle
    | Find
    | Take
    | Close
    | Remember
    | Recall
    | Forget
    | ExitActor
    | CreateGroup
    | RemoveGroup
)


# -- functions and classes


class Returned(Struct, frozen=True):
    """One return value (or item): its size, and the references that it contains."""

    size: int = 8
    contains: tuple[int, ...] = ()


class RemoteFunction(Struct, frozen=True):
    """A remote function, or a method.

    Attributes
    ----------
    raises
        "", "always", or "first": in the first attempt only, and such errors are retried.
    num_returns
        -1: a generator, whose items are ``returned``.
    gap_s
        Pause before each return value or item.
    backpressure
        A generator pauses while so many of its items are not taken; 0: never.
    group
        Of a method: its concurrency group.
    """

    number: int
    body: tuple[Operation, ...] = ()
    returned: tuple[Returned, ...] = (Returned(),)
    num_returns: int = 1
    resources: dict[str, float] = {}
    retries: int = 3
    raises: str = ""
    gap_s: float = 0.0
    backpressure: int = 0
    group: str = ""


class ActorClass(Struct, frozen=True):
    """A class of actors; ``init`` and ``methods`` are numbers of functions.

    Attributes
    ----------
    groups
        Its concurrency groups, and how many calls run at once in each.
    pending_max
        So many calls of one caller may be without an outcome; -1: any number.
    """

    number: int
    init: int
    methods: tuple[int, ...]
    restarts: int = 0
    task_retries: int = 0
    concurrency: int = 0
    detached: bool = False
    name: str = ""
    get_if_exists: bool = False
    resources: dict[str, float] = {}
    groups: dict[str, int] = {}
    pending_max: int = -1


# -- what goes wrong


class Fault(Struct, frozen=True):
    """Something goes wrong at a time, or (``after``) at the n-th delivery of a kind of message.

    Attributes
    ----------
    kind
        worker | driver | gcs | node | store-away | stall | no-segment | no-fork | resize | rot (the disk damages an
        object) | far-node (one that has joined) | leave (such a node is stopped in an orderly way)
    which
        Picks a victim among those there are. With ``after``: even, the receiver of that message, odd, its sender. Of a
        resize: the CPUs.
    lasting_s
        How long it lasts.
    """

    kind: str
    at_s: float = 0.0
    after: str = ""
    nth: int = 1
    which: int = 0
    lasting_s: float = 0.0


class Deed(Struct, frozen=True):
    """A third party does something to what others own.

    Attributes
    ----------
    action
        cancel (an unfinished task) | kill_actor | free (an object that has a value)
    which
        Picks one of those there are.
    """

    action: str
    at_s: float
    which: int = 0


class Limits(Struct, frozen=True):
    """The cluster, and what of its configuration is not the simulation's usual."""

    cpus: float = 2.0
    special: float = 2.0
    """Of a resource of this name."""
    store_bytes: int = 1 << 20
    spills: bool = False
    """Whether there is a disk for what the store has no room for."""
    batch_tasks_max: int = 2000
    result_cache_bytes: int = 4 * 1024 * 1024
    lease_idle_s: float = 0.2
    worker_idle_s: float = 60.0
    wild: float = 0.5
    """How often connections are slow."""


class Joining(Struct, frozen=True):
    """A node that joins the cluster."""

    at_s: float = 0.0
    cpus: float = 2.0
    special: float = 0.0
    store_bytes: int = 1 << 20
    spills: bool = False


class Plan(Struct, frozen=True):
    """One run. ``drivers`` have threads, threads have operations; ``nodes`` join the one that is there."""

    seed: int
    functions: tuple[RemoteFunction, ...] = ()
    classes: tuple[ActorClass, ...] = ()
    drivers: tuple[tuple[tuple[Operation, ...], ...], ...] = ()
    faults: tuple[Fault, ...] = ()
    limits: Limits = Limits()
    deeds: tuple[Deed, ...] = ()
    nodes: tuple[Joining, ...] = ()
