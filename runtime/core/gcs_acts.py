"""Acts: what somebody wants done to a task, an actor, an object or the node that is not his own.

Rules
-----
1. Each is answered within `PATIENCE_S`, whoever is stopped or busy. An answer without an error means that it is done,
   or can't be missed any more (a task with a tombstone); an error says why it is not, and whether it may still come.
2. A task is cancelled by the node managers (`tombstones`); its owner need not listen. A node that registers later is
   told then: after the GCS has started anew it may be the one whose driver has submitted the task.
3. Nobody but an owner can free an object or try a failed task again: all clients are asked whose it is, and the one
   that says so at once is asked to do it. One that is silent may be the owner: then nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from raynb.runtime.core.client_acts import OWNER
from raynb.runtime.core.effects import Send
from raynb.runtime.core.event_flows import cell_key
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_actor_life import DEAD
from raynb.runtime.core.gcs_actors import ActorTable
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.core.gcs_requests import Requests
from raynb.runtime.core.graph_view import node_id
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.tombstones import TOMBSTONES_MAX
from raynb.runtime.messages.acts import ActRequest, CancelTasks, OwnerAct
from raynb.runtime.messages.events import FINISHED, TASK_KINDS, TASK_STATES
from raynb.runtime.messages.gcs import KillActor, Reply
from raynb.runtime.messages.ids import ACTOR_ID_BYTES, OBJECT_ID_BYTES, TASK_ID_BYTES
from raynb.runtime.messages.node import ScaleNode
from raynb.runtime.messages.values import Failed

PATIENCE_S: Final = 0.35
CREATION: Final = TASK_KINDS.index("ACTOR_CREATION_TASK")
SILENT_TOLD: Final = 5

Done = Callable[[Failed | None], Effects]
"""Takes the outcome, None if it is done; gives the answer."""


class Tables(Protocol):
    """What is acted on."""

    members: Membership
    jobs: JobTable
    actors: ActorTable
    events: EventTable


@dataclass(slots=True)
class _Open:
    """An act under way."""

    action: str
    target: bytes
    deadline: float
    done: Done
    waiting: dict[str, None] = field(default_factory=dict)
    """Who has to answer."""
    going: bool = False
    """The owner has been asked to do it."""
    over: bool = False


class Acts:
    """See the module's rules."""

    def __init__(self, tables: Tables, requests: Requests, epoch: int) -> None:
        self._tables = tables
        self._requests = requests
        self._open: dict[int, _Open] = {}
        self._cancelled: dict[bytes, None] = {}
        """Rule 2: the newest `TOMBSTONES_MAX`."""
        # A stopped process may answer what an earlier GCS has asked.
        self._last = epoch << 32

    def __repr__(self) -> str:
        return f"<Acts {len(self._open)} open>"

    def ask(self, sender: str, message: ActRequest, now: float) -> Effects:
        """A guest or client wants something done."""

        def done(failure: Failed | None) -> Effects:
            return [self._requests.answer(sender, Reply(message.request, error=failure), keep=True)]

        return self.begin(message.action, message.target, now, done)

    def begin(self, action: str, target: str, now: float, done: Done) -> Effects:
        """Do it, or have it done; ``done`` is called once."""
        try:
            match action:
                case "cancel" if ":" in target:
                    return self._cancel_all(target, now, done)
                case "cancel":
                    return self._cancel(_id(target, TASK_ID_BYTES, "a task"), now, done)
                case "kill_actor":
                    return self._kill(_id(target, ACTOR_ID_BYTES, "an actor"), now, done)
                case "retry":
                    return self._ask_owner(action, _id(target, TASK_ID_BYTES, "a task"), now, done)
                case "free":
                    return self._ask_owner(action, _id(target, OBJECT_ID_BYTES, "an object"), now, done)
                case "scale":
                    return self._scale(target, now, done)
            raise ValueError(f"there is no act {action!r}: it is one of cancel, retry, kill_actor, free and scale")
        except ValueError as error:
            return done(Failed("ValueError", str(error)))

    # -- tasks

    def _cancel(self, task_id: bytes, now: float, done: Done) -> Effects:
        events = self._tables.events
        slot = events.index.get(task_id)
        if slot is not None:
            name = events.names.name(events.name[slot])
            if name.kind == CREATION:
                raise ValueError("this task creates an actor: end that instead (kill_actor)")
            if events.state[slot] >= FINISHED:
                raise ValueError(f"the task is over already: {TASK_STATES[events.state[slot]]}")
        return self._write([task_id], now, done)

    def _cancel_all(self, target: str, now: float, done: Done) -> Effects:
        """Of a function or a cell, by its node's id in the graph, or ``cell:`` and the cell's id, with its notebook's
        kernel before that or without: what is not over."""
        events = self._tables.events
        wanted: set[int] = set()
        for position, name in enumerate(events.names.names):
            if name is not None and name.kind != CREATION:
                function, cell = events.flows.groups_of(name)
                ids = {node_id(events.flows.groups[function]), node_id(events.flows.groups[cell])}
                if name.cell:
                    key = cell_key(name.cell)
                    ids |= {f"cell:{key}", f"cell:{self._tables.jobs.notebook_of(name.job)}:{key}"}
                if target in ids:
                    wanted.add(position)
        if not wanted:
            raise ValueError(f"there is no function and no cell {target[:80]!r} in this cluster's table of tasks")
        task_ids = [
            events.ids[slot] for slot in events.slots() if events.name[slot] in wanted and events.state[slot] < FINISHED
        ]
        if not task_ids:
            raise ValueError("all its tasks are over already")
        if len(task_ids) > TOMBSTONES_MAX:
            raise ValueError(
                f"it has {len(task_ids):,} tasks that are not over, and {TOMBSTONES_MAX:,} at most can be cancelled at "
                "once: interrupt the notebook or program that submits them"
            )
        return self._write(task_ids, now, done)

    def _write(self, task_ids: list[bytes], now: float, done: Done) -> Effects:
        """Rule 2."""
        managers = self._tables.members.managers()
        if not managers:
            return done(Failed("RaySystemError", "no node manager is there to cancel what is asked for"))
        for task_id in task_ids:
            self._cancelled.pop(task_id, None)
            self._cancelled[task_id] = None
        while len(self._cancelled) > TOMBSTONES_MAX:
            del self._cancelled[next(iter(self._cancelled))]
        number = self._enter("cancel", b"", now, done, managers)
        return [Send(manager, CancelTasks(number, task_ids)) for manager in managers]

    def node_joined(self, manager: str) -> Effects:
        """Rule 2; nobody waits for its answer."""
        return [Send(manager, CancelTasks(0, list(self._cancelled)))] if self._cancelled else []

    # -- actors

    def _kill(self, actor_id: bytes, now: float, done: Done) -> Effects:
        actor = self._tables.actors.index.actors.get(actor_id)
        if actor is None:
            raise ValueError(f"there is no actor {actor_id.hex()}")
        if actor.state == DEAD:
            why = actor.failure.message if actor.failure is not None else "it is dead"
            raise ValueError(f"the actor is dead already: {why}")
        number = self._enter("kill_actor", actor_id, now, done, [])

        def told(reason: str, _process: bytes = b"") -> Effects:
            text = f"the actor ends, but that may not outlast a restart of the GCS: {reason}"
            return self._finish(number, Failed("RaySystemError", text) if reason else None)

        return self._tables.actors.end(KillActor(actor_id, True, "killed"), now, told)

    # -- what owners alone can do

    def _ask_owner(self, action: str, target: bytes, now: float, done: Done) -> Effects:
        clients = self._tables.members.processes()
        number = self._enter(action, target, now, done, clients)
        return [Send(client, OwnerAct(number, action, target)) for client in clients] or self._not_found(number)

    def _not_found(self, number: int) -> Effects:
        entry = self._open[number]
        if entry.action == "free":
            text = f"no living process owns the object {entry.target.hex()}: it is gone, or its owner is"
        else:
            text = f"no living process has submitted the task {entry.target.hex()}, so nobody can submit it anew"
        return self._finish(number, Failed("ValueError", text))

    # -- the node

    def _scale(self, target: str, now: float, done: Done) -> Effects:
        try:
            cpus = float(target)
        except ValueError:
            raise ValueError(f"{target!r} is no number of CPUs") from None
        managers = self._tables.members.managers()
        if len(managers) != 1:
            raise ValueError(f"there are {len(managers)} nodes: which one is to be scaled?")
        number = self._enter("scale", b"", now, done, managers)
        return [Send(managers[0], ScaleNode(number, cpus))]

    # -- answers

    def _enter(self, action: str, target: bytes, now: float, done: Done, asked: list[str]) -> int:
        self._last += 1
        self._open[self._last] = _Open(action, target, now + PATIENCE_S, done, dict.fromkeys(asked))
        return self._last

    def answered(self, sender: str, reply: Reply, now: float) -> Effects:
        """Somebody who was asked says something."""
        entry = self._open.get(reply.request)
        if entry is None or sender not in entry.waiting:
            return []
        if reply.error is not None:
            return self._finish(reply.request, reply.error)
        if entry.action in ("retry", "free") and not entry.going and reply.data == OWNER:
            # The number is another, for the owner may answer the first question again.
            done, action, target = entry.done, entry.action, entry.target
            del self._open[reply.request]
            number = self._enter(action, target, now, done, [sender])
            self._open[number].going = True
            return [Send(sender, OwnerAct(number, action, target, go=True))]
        if entry.going and reply.data != OWNER:
            return self._finish(reply.request, Failed("ValueError", "its owner has let it go meanwhile"))
        return self._no_more_of(reply.request, sender)

    def _no_more_of(self, number: int, sender: str) -> Effects:
        entry = self._open[number]
        entry.waiting.pop(sender, None)
        if entry.waiting:
            return []
        asked_in_vain = entry.action in ("retry", "free") and not entry.going
        return self._not_found(number) if asked_in_vain else self._finish(number, None)

    def _finish(self, number: int, failure: Failed | None) -> Effects:
        entry = self._open.pop(number, None)
        return [] if entry is None else entry.done(failure)

    def process_died(self, address: str) -> Effects:
        """It answers no more."""
        effects: Effects = []
        for number, entry in list(self._open.items()):
            if address in entry.waiting:
                if entry.going:
                    effects += self._finish(number, Failed("OwnerDiedError", "its owner has died"))
                else:
                    effects += self._no_more_of(number, address)
        return effects

    def tick(self, now: float) -> Effects:
        """Give up on what has waited too long."""
        effects: Effects = []
        for number, entry in list(self._open.items()):
            if entry.deadline <= now:
                effects += self._finish(number, Failed("RpcError", self._too_late(entry)))
        return effects

    def _too_late(self, entry: _Open) -> str:
        if entry.action == "kill_actor":
            return "the actor is to be ended, but the cluster's state store has not confirmed that yet"
        silent = [f"process {self._pid(address)}" for address in entry.waiting]
        who = ", ".join(silent[:SILENT_TOLD]) + (", ..." if len(silent) > SILENT_TOLD else "")
        verb = "doesn't answer" if len(silent) == 1 else "don't answer"
        if entry.action in ("cancel", "scale"):
            return f"the node manager ({who}) {verb}; it will be done when it goes on"
        if entry.going:
            return f"its owner ({who}) has stopped answering; it may still do it when it goes on"
        what = "free it" if entry.action == "free" else "submit it anew"
        return (
            f"{who} {verb} (stopped, or busy in code that holds the interpreter), and its owner alone can {what}. "
            "Nothing was done"
        )

    def _pid(self, address: str) -> str:
        jobs = self._tables.jobs.jobs.values()
        pid = self._tables.members.pid_of(address) or next((job.pid for job in jobs if job.driver == address), 0)
        return str(pid or address.rpartition("/")[2])

    @property
    def waiting(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._open)


def _id(text: str, size: int, what: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise ValueError(f"{text[:80]!r} is not the id of {what}: {2 * size} hexadecimal digits")
    return found
