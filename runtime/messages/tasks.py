"""Messages between a submitter (driver or worker) and the worker that runs its tasks. The hot path.

Order holds per connection, and only this is relied on: a worker runs the tasks of one submitter in the order of their
``seq``, and a submitter's calls to an actor arrive in the order in which they were made.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.values import Dependency, Value


class FunctionDef(Struct, array_like=True, frozen=True, gc=False):
    """What a submitter's function number means; sent once to each worker, with the first task that uses it.

    ``blob`` is the cloudpickle of a function, content-addressed by ``function_id``; for a method of an actor both are
    empty and ``name`` is the method's.
    """

    number: int
    function_id: bytes
    name: str
    blob: bytes
    retry_exceptions: bool | bytes = False
    """False, True, or the pickle of a tuple of exception types."""
    max_calls: int = 0
    resources: dict[str, float] = {}
    """What a call holds while it runs."""
    captures: bool = False
    """What a call starts runs in its placement group, too."""
    backpressure: int = 0
    """A generator pauses while so many of its items are not consumed; 0: never."""
    runtime_env: str = ""
    """What the worker is to set up before, as JSON of one form; empty: nothing."""
    module: str = ""
    """Where the function or class was defined."""


class ContextDef(Struct, array_like=True, frozen=True, gc=False):
    """Where tasks come from: what their prints and events are attributed to. Children inherit it."""

    number: int
    job: bytes
    namespace: str
    driver: str
    """Address of the driver: output goes there."""
    cell: str = ""
    """An opaque token of the notebook cell (empty in scripts); the kernel that made it knows what it means."""
    sys_path: list[str] = []
    """The driver's import path, script folder first: a worker puts what it lacks in front of its own."""
    cwd: str = ""
    code: int = 0
    """Counts how often the driver has loaded modules of its project again: a worker looks then whether its own are as
    their files are. So it does for each cell that it has not worked for."""
    figure_formats: list[str] = []
    """In which formats the notebook wants figures, as IPython calls them (png, retina, svg...); empty: as PNG."""
    detached: bool = False
    """Whether actors that do not say otherwise outlive the driver."""
    logging: str = ""
    """How the driver wants records of Python's logging written (JSON of a `LoggingConfig`); empty: as they are."""


class TaskSpec(Struct, array_like=True, gc=False):
    """One call.

    Attributes
    ----------
    seq
        Counts the pushes of one submitter to one worker; results name it.
    task_id, attempt
        The attempt fences results of an earlier one.
    function, context
        Numbers announced by `FunctionDef` and `ContextDef` on the same connection.
    args, buffers
        Pickle of ``(args, kwargs)``, whose i-th dependency stands as a placeholder, and its out-of-band buffers.
    num_returns
        -1: a streaming generator; -2: a generator whose result is the references of its items.
    """

    seq: int
    task_id: bytes
    function: int
    args: bytes
    num_returns: int = 1
    attempt: int = 0
    context: int = 0
    buffers: list[bytes] | None = None
    deps: list[Dependency] | None = None
    name: str = ""
    group: str = ""
    """Concurrency group of an actor's method."""


class PushTasks(Struct, array_like=True, gc=False, tag=10):
    """Submitter -> worker. ``lease`` must be the one the worker is leased under (0 for an actor)."""

    lease: int
    tasks: list[TaskSpec]
    functions: list[FunctionDef] = []
    contexts: list[ContextDef] = []
    gpus: list[str] = []
    """Those of the lease."""


class Result(Struct, array_like=True, gc=False):
    """The outcome of one task: as many values as it has returns (one `Failed` stands for all of them).

    ``started`` is wall-clock seconds (for display), ``duration`` seconds. ``retryable`` says that the failure is one
    that the task's ``retry_exceptions`` names. ``keeps`` lists the owners' objects the worker still refers to.
    """

    seq: int
    started: float
    duration: float
    values: list[Value]
    retryable: bool = False


class TasksDone(Struct, array_like=True, gc=False, tag=11):
    """Worker -> submitter. References inside the values are pinned by the worker until `RefsTaken` names their seq."""

    results: list[Result]


class TasksReturned(Struct, array_like=True, gc=False, tag=12):
    """Worker -> submitter: these were not started and will not be; they spend no retry."""

    seqs: list[int]
    reason: str
    """stolen | blocked | dependency | lease | exiting"""


class StealTasks(Struct, array_like=True, gc=False, tag=13):
    """Submitter -> worker: give back up to ``count`` unstarted tasks, the last first."""

    count: int


class RefsTaken(Struct, array_like=True, gc=False, tag=14):
    """Submitter -> worker: the references inside results of these pushes are registered with their owners.

    A push is named once for each value with references in it, in the order in which they were sent."""

    seqs: list[int]


class CancelTask(Struct, array_like=True, gc=False, tag=15):
    """Submitter -> worker (or a client -> the task's owner, which passes it on).

    A queued task is refused, a running one gets KeyboardInterrupt (``CancelledError`` in an async actor). ``recursive``
    extends it to the tasks that it submitted. A worker that has finished the task ignores it. ``told_only``: a call of
    an actor's thread runs on, and may ask whether it is cancelled.
    """

    task_id: bytes
    force: bool = False
    recursive: bool = True
    told_only: bool = False


class StreamItems(Struct, array_like=True, gc=False, tag=16):
    """Worker -> submitter: items of a streaming generator, from index ``first`` (0-based) on."""

    seq: int
    first: int
    values: list[Value]


class StreamAck(Struct, array_like=True, gc=False, tag=17):
    """Submitter -> worker: so many items were consumed (back-pressure); or the consumer has let the generator go,
    and need not be waited for any more."""

    seq: int
    consumed: int
    closed: bool = False


DISPLAY = "display"
"""`OutputLine.stream`: the text is JSON, the content of Jupyter's `display_data` with ``update`` beside it."""


class OutputLine(Struct, array_like=True, frozen=True, gc=False):
    """Text that a task wrote, or something that it displayed.

    ``cell`` as in `ContextDef`; ``stream`` is stdout, stderr or `DISPLAY`. Text ends anywhere, also within a line.
    ``actor`` is what the actor of that process is called (its ``repr``, or its class), if it has one.
    """

    cell: str
    task_id: bytes
    name: str
    pid: int
    stream: str
    text: str
    actor: str = ""


class TaskOutput(Struct, array_like=True, gc=False, tag=18):
    """Worker -> driver of the job. ``ends``: how far in its logs this goes (stdout, stderr), in bytes."""

    lines: list[OutputLine]
    dropped: int = 0
    ends: tuple[int, int] = (0, 0)


class LastWords(Struct, array_like=True, frozen=True, gc=False, tag=254):
    """Node manager -> driver of the job: a worker was killed, and this is what its logs have since it began to work for
    the ``cell`` (see `ContextDef`), the end of it if that is long: of stdout and of stderr.

    ``ends`` are the sizes of the logs; ``task_id`` is what it began last; ``actor`` the class of its actor.
    """

    worker: str
    pid: int
    cell: str
    task_id: bytes
    texts: tuple[bytes, bytes]
    ends: tuple[int, int]
    actor: str = ""


class TaskStopped(Struct, array_like=True, frozen=True, gc=False, tag=19):
    """Worker -> driver of the job: a task waits at a breakpoint until somebody attaches to the socket at ``path``, or
    it is cancelled. Sent again when whoever was attached has left."""

    task_id: bytes
    name: str
    pid: int
    cell: str
    file: str
    line: int
    path: str
