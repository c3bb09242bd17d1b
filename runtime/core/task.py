"""A task's life at its submitter: its states, which of them may follow which, and its record.

::

    WAITING --ready--> QUEUED --push--> PUSHED --done--> DONE
       \\                  ^  ^            | |
        \\--push-local--->-|--|------------+ |      (to the worker that computes its input)
                          |  +---return-----+      (never started: stolen, or its worker died first)
                          +------retry------+      (started, its worker died)

``await`` also leads back from QUEUED, when a value that was there is lost.

Any state but DONE can end in DONE by ``fail`` or ``cancel``. `NEXT` is that picture as data.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, structs

from raynb.runtime.messages.gcs import CreateActor
from raynb.runtime.messages.ids import FIRST_RETURN, object_id
from raynb.runtime.messages.node import ProcessDied
from raynb.runtime.messages.strategy import Strategy
from raynb.runtime.messages.tasks import ContextDef, FunctionDef

if TYPE_CHECKING:
    from raynb.runtime.core.actors import ActorClient
    from raynb.runtime.core.pools import Lease
    from raynb.runtime.core.recorder import Calls

WAITING, QUEUED, PUSHED, DONE = "WAITING", "QUEUED", "PUSHED", "DONE"

NEXT: dict[tuple[str, str], str] = {
    (WAITING, "ready"): QUEUED,
    (WAITING, "push-local"): PUSHED,
    (QUEUED, "push"): PUSHED,
    (QUEUED, "await"): WAITING,
    (PUSHED, "done"): DONE,
    (PUSHED, "return"): QUEUED,
    (PUSHED, "await"): WAITING,
    (PUSHED, "retry"): QUEUED,
    (WAITING, "fail"): DONE,
    (QUEUED, "fail"): DONE,
    (PUSHED, "fail"): DONE,
    (WAITING, "cancel"): DONE,
    (QUEUED, "cancel"): DONE,
}

#: ``num_returns`` of a streaming generator.
STREAMING = -1

#: ``num_returns`` of a generator whose result are the references of its items.
DYNAMIC = -2

#: What a function that was not measured yet counts as, in seconds: enough to be alone in a worker's queue.
UNMEASURED_S = 3600.0

#: The least that a task counts as: what a worker needs for an empty one.
TASK_FLOOR_S = 4e-6


class Function(Struct, gc=False):
    """A remote function (or a method of an actor) with one set of options, as its submitter knows it."""

    definition: FunctionDef
    name: str
    resources: dict[str, float]
    key: int = 0
    """Number of its scheduling class."""
    max_retries: int = 3
    runtime_env: str = ""
    call_site: str = ""
    kind: int = 0
    """Index into `raynb.runtime.messages.events.TASK_KINDS`."""
    job: bytes = b""
    actor_id: bytes = b""
    strategy: Strategy | None = None
    """Where its calls are to run; None: wherever there is room."""
    called: str = ""
    """What it is in the program, where ``name`` is another."""
    events: bool = True
    """Whether its calls are told to the event hub."""
    duration_s: float = UNMEASURED_S
    """Moving average of what one call takes."""
    calls: Calls | None = None
    """Its counts for the cell that has called it last; belongs to `Recorder`."""

    def measure(self, duration_s: float) -> None:
        if duration_s < TASK_FLOOR_S:
            duration_s = TASK_FLOOR_S
        known = self.duration_s
        self.duration_s = duration_s if known >= UNMEASURED_S else known + 0.1 * (duration_s - known)


class Task(Struct, gc=False):
    """One call. Made by the thread that calls; belongs to the machine from then on."""

    id: bytes
    function: Function
    args: bytes
    context: ContextDef
    num_returns: int = 1
    buffers: list[bytes] | None = None
    deps: list[bytes] | None = None
    """Objects whose values are arguments."""
    refs: list[bytes] | None = None
    """Objects referred to from inside the arguments."""
    parent: bytes = b""
    name: str = ""
    group: str = ""
    actor: ActorClient | None = None
    retries_left: int = 0
    attempt: int = 0
    state: str = WAITING
    missing: int = 0
    cancelled: bool = False
    lease: Lease | None = None
    seq: int = 0
    cost_s: float = 0.0
    submitted_at: float = 0.0
    ready_at: float = 0.0
    pushed_at: float = 0.0
    creation: CreateActor | None = None
    """Not None: this is the creation of an actor; what its registration needs."""
    answer: Any = None
    """With ``creation``: where the GCS's reply goes, if a thread waits for it."""
    site: Any = None
    """Where in the program it was called, if that is noted; `OwnRows.site_of` reads it."""

    def return_ids(self) -> list[bytes]:
        """Ids of its return values; a generator has one, which settles when it ends."""
        if self.num_returns == 1 or self.num_returns < 0:
            return [self.id + FIRST_RETURN]
        return [object_id(self.id, index) for index in range(1, self.num_returns + 1)]

    def anew(self, retries_left: int) -> Task:
        """The next attempt of a task that has ended, as if it were submitted. An actor's creation is its next life."""
        creation = self.creation
        if creation is not None:
            start = structs.replace(creation.creation, deps=None)
            creation = structs.replace(
                creation, creation=start, name="", get_if_exists=False, failure=None, awaits=False,
                revival=creation.revival + 1,
            )  # fmt: skip
        return Task(
            self.id, self.function, self.args, self.context, self.num_returns, self.buffers, self.deps, self.refs,
            self.parent, self.name, self.group, self.actor, retries_left, self.attempt + 1, creation=creation,
        )  # fmt: skip

    @property
    def may_be_revived(self) -> bool:
        """Whether it creates an actor that may be started again when it has gone out of scope."""
        return self.creation is not None and self.creation.max_restarts != 0 and not self.creation.detached

    @property
    def worker(self) -> str:
        """Address of the process that it was pushed to; empty if it is not there."""
        if self.state is not PUSHED:
            return ""
        if self.actor is not None:
            return self.actor.connection.worker if self.actor.connection is not None else ""
        return self.lease.worker if self.lease is not None else ""

    def __repr__(self) -> str:
        return f"<Task {self.name or self.function.name} {self.id.hex()[:16]} {self.state} attempt={self.attempt}>"


class InvalidTransition(AssertionError):
    """The scheduler tried what `NEXT` does not have. Carries the story of the task."""

    def __init__(self, task: Task, event: str, story: list[tuple[str, str, str]]) -> None:
        lines = "\n".join(f"  {before} --{event}--> {after}" for before, event, after in story)
        super().__init__(f"{task!r} can't {event!r} from {task.state}\nits story:\n{lines or '  (none kept)'}")


class Story:
    """The last transitions of all tasks: enough to tell how an impossible one came about."""

    def __init__(self, length: int = 5000) -> None:
        self._log: deque[tuple[bytes, str, str, str]] = deque(maxlen=length)

    def step(self, task: Task, event: str) -> None:
        """Move a task along `NEXT`.

        Raises
        ------
        InvalidTransition
        """
        before = task.state
        after = NEXT.get((before, event))
        if after is None:
            raise InvalidTransition(task, event, self.of(task.id))
        task.state = after
        self._log.append((task.id, before, event, after))

    def of(self, task_id: bytes) -> list[tuple[str, str, str]]:
        return [step[1:] for step in self._log if step[0] == task_id]


NODE_GONE: Final = (
    "Task failed because the node it was running on is dead or unavailable. Node IP: 127.0.0.1, as that of all:"
)


def crash_message(task: Task, died: ProcessDied) -> str:
    """What is said of an attempt whose worker is gone. It begins as in Ray, since programs look for these words."""
    begin = ""
    if died.node:
        begin = f"{NODE_GONE} "
    elif not died.out_of_memory:
        begin = "The worker died unexpectedly while executing this task: "
    name = task.name or task.function.name
    return f"{begin}the worker (pid {died.pid}) that ran {name} (attempt {task.attempt}) died: {died.reason}."
