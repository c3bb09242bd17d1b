"""Events and effects that only a node manager has.

Its host carries effects out in order. A worker is named by the token under which it was ordered, from its order to its
end; the host keeps which process, page and log belong to it.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.tasks import LastWords

# -- effects


class SpawnWorker(Struct, frozen=True, gc=False):
    """Have a worker forked. Answered by `WorkerForked` or `WorkerExited`; later it joins with its token."""

    token: str


class EndProcess(Struct, frozen=True, gc=False):
    """End a worker and what its tasks have started: SIGTERM, or SIGKILL with ``force``."""

    token: str
    force: bool


class LookAtPage(Struct, frozen=True, gc=False):
    """Answered by `PageSeen`, if the worker has a page."""

    token: str


class WatchProcess(Struct, frozen=True, gc=False):
    """Tell by `ClientExited` when the process of this driver ends (at once if it has)."""

    address: str
    pid: int


class ForgetPeer(Struct, frozen=True, gc=False):
    """This process is dead: drop what is queued for it, refuse what may still come of it."""

    address: str


class StopEverything(Struct, frozen=True, gc=False):
    """End the node: workers, daemons, store, session. Nothing comes after it."""

    reason: str


class Say(Struct, frozen=True, gc=False):
    """A line for the log. ``level``: info | warning | error."""

    level: str
    text: str


# -- events


class WorkerForked(Struct, frozen=True, gc=False):
    """An ordered worker is a process now."""

    token: str
    pid: int


class WorkerExited(Struct, frozen=True, gc=False):
    """A worker has ended, or never began (``pid`` 0).

    Attributes
    ----------
    reason
        For people: how it ended.
    log_tail
        Its last log lines.
    lease, last_seq
        What its page says (`raynb.runtime.adapters.worker_page`).
    driver, last_words
        For whom it has written last, and what; None where it said all itself.
    """

    token: str
    pid: int
    reason: str
    log_tail: str = ""
    lease: int = 0
    last_seq: int = 0
    driver: str = ""
    last_words: LastWords | None = None


class PageSeen(Struct, frozen=True, gc=False):
    """A worker's page says that it has begun this task, and none after it."""

    token: str
    task_id: bytes


class ClientExited(Struct, frozen=True, gc=False):
    """A watched driver has ended. An empty address is the process that started the cluster."""

    address: str
    reason: str


class WorkersStopped(Struct, frozen=True, gc=False):
    """About once a second: tokens of the workers that the process table shows as stopped (SIGSTOP)."""

    tokens: frozenset[str]


class GcsStarted(Struct, frozen=True, gc=False):
    """The GCS has been started, for the first time or again."""


class Measured(Struct, frozen=True, gc=False):
    """About once a second: the machine's load."""

    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int


class MemoryMeasured(Struct, frozen=True, gc=False):
    """A few times a second: the machine's memory in use, and in all. ``workers`` has that of each by its token,
    with what its tasks have started and without shared memory; it is left empty while there is plenty."""

    used_bytes: int
    total_bytes: int
    workers: dict[str, int]


class StopRequested(Struct, frozen=True, gc=False):
    """A signal asks the node to end."""

    reason: str
