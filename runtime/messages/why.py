"""Questions about what has not happened yet, and their answers: facts from tables, that somebody else makes words of.

An answer is the msgpack of a `Finding` (or a `WorkerRuns`), in the data of a `Reply`. Whoever asks follows it: to
another owner, to the node manager (`WhyWaiting`), to a worker (`WhatRuns`), to the GCS (`Query`).
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from raynb.runtime.messages.values import RefInfo


class WhyObject(Struct, array_like=True, gc=False, tag=120):
    """Anybody -> an object's owner: why is its value not there? Answered by a `Reply` with a `Finding`."""

    request: int
    oid: bytes


class WhatRuns(Struct, array_like=True, gc=False, tag=121):
    """Anybody -> worker: what runs in it, and how far is this task? Answered by a `Reply` with a `WorkerRuns`.

    A worker that holds the interpreter lock can't answer; who asks must have a deadline.
    """

    request: int
    task_id: bytes


# -- answers


class TaskFacts(Struct, array_like=True, frozen=True, gc=False):
    """A task without an outcome, at its submitter. ``since_s``: seconds that it has been in its present state."""

    id: bytes
    name: str
    attempt: int
    since_s: float
    cell: str = ""
    cancelled: bool = False


class Gone(Struct, array_like=True, frozen=True, gc=False, tag="gone"):
    """Whoever was asked has no such object (any more)."""


class Elsewhere(Struct, array_like=True, frozen=True, gc=False, tag="elsewhere"):
    """Another process owns it."""

    owner: str


class Settled(Struct, array_like=True, frozen=True, gc=False, tag="settled"):
    """Its value is there, or never will be.

    Attributes
    ----------
    state
        READY (small, at its owner) | STORED (in shared memory) | FAILED
    kind, message
        Of the `Failed`.
    note
        Of a value that was put: its type.
    """

    state: str
    size_bytes: int = 0
    kind: str = ""
    message: str = ""
    note: str = ""


class Inputs(Struct, array_like=True, frozen=True, gc=False, tag="inputs"):
    """Its task waits for values, of its arguments or of an actor's constructor's."""

    task: TaskFacts
    unsettled: list[RefInfo]


class Queued(Struct, array_like=True, frozen=True, gc=False, tag="queued"):
    """Its task waits for a worker.

    Attributes
    ----------
    node_manager, client, key
        Whom to ask for what (`WhyWaiting`).
    ahead
        Tasks of the same class that are in front of it.
    running
        What runs on workers that the submitter has: (address, name).
    """

    task: TaskFacts
    node_manager: str
    client: str
    key: int
    ahead: int
    running: list[tuple[str, str]]


class Pushed(Struct, array_like=True, frozen=True, gc=False, tag="pushed"):
    """Its task was sent to a worker (or an actor). ``ahead``: names of what was sent there before, the first runs."""

    task: TaskFacts
    worker: str
    pid: int
    ahead: list[str]
    actor_id: bytes = b""


class Held(Struct, array_like=True, frozen=True, gc=False, tag="held"):
    """It is a call of an actor that was not sent yet.

    Attributes
    ----------
    state
        Of the actor, as the caller knows it.
    ahead
        Calls of the same caller in front of it, those that were sent included.
    blocker
        Name of the first call in front of it whose inputs are not there: calls keep their order.
    unsettled
        Those inputs.
    ending
        This caller has asked to end the actor, and waits for the answer.
    """

    task: TaskFacts
    actor_id: bytes
    state: str
    ahead: int
    blocker: str = ""
    unsettled: list[RefInfo] = []
    ending: bool = False


class Creating(Struct, array_like=True, frozen=True, gc=False, tag="creating"):
    """It stands for an actor, whose inputs are there. ``asked``: the GCS has not acknowledged it yet."""

    task: TaskFacts
    actor_id: bytes
    asked: bool


class Alive(Struct, array_like=True, frozen=True, gc=False, tag="alive"):
    """It stands for an actor, that has started, or has ended: the GCS knows."""

    actor_id: bytes
    name: str


class Unmade(Struct, array_like=True, frozen=True, gc=False, tag="unmade"):
    """It is known, has no value, and no task that its owner knows of makes it."""


Finding = Gone | Elsewhere | Settled | Inputs | Queued | Pushed | Held | Creating | Alive | Unmade

decode_finding = msgspec.msgpack.Decoder(Finding).decode


class RunningTask(Struct, array_like=True, frozen=True, gc=False):
    """``started`` is wall-clock seconds, for display."""

    id: bytes
    name: str
    started: float


class WorkerRuns(Struct, array_like=True, frozen=True, gc=False):
    """What goes on in a worker.

    Attributes
    ----------
    running
        Several in an actor with threads, or an event loop.
    queued
        Tasks that it holds and has not started, of all submitters.
    ahead
        How many of them are before the task in question; -1 if that is not among them.
    waits_for
        What threads of the process wait for in ``get`` or ``wait``.
    """

    pid: int
    running: list[RunningTask]
    queued: int
    ahead: int
    waits_for: list[RefInfo] = []
    setting_up: str = ""
    """Not empty: its ``runtime_env`` is being set up, and this is what is done for it."""


decode_worker_runs = msgspec.msgpack.Decoder(WorkerRuns).decode
