"""What a user's thread does with actors, as `raynb.runtime.api` does it: create, find, kill."""

from __future__ import annotations

from typing import Any

import msgspec

from raynb.runtime.core.inbox import Answer, KillByHandle
from raynb.runtime.core.task import Function, Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages import gcs
from raynb.runtime.messages.ids import FIRST_RETURN, actor_id_of
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import FunctionDef
from tests.sim.calls import Execution, ask, wait_for_answer
from tests.sim.client import SimClient
from tests.sim.outcomes import RemoteError
from tests.sim.places import Place
from tests.sim.threads import Lock, Steps
from tests.sim.values import CallContent, Handle, Ref, describe, encode
from tests.sim.workload import ActorClass, RemoteFunction


def create_actor(
    client: SimClient, execution: Execution, cls: ActorClass, init: RemoteFunction, label: int, deps: list[Ref],
    nested: list[Ref], place: Place | None = None,
) -> Steps:  # fmt: skip
    """Create an actor; gives its handle (a `Ref`). Waits only where it has a name. Raises `RemoteError`."""
    handles, infos = describe(nested)
    args = encode(CallContent(label, init.number, handles, infos or [], 0, execution.depth + 1))
    task_id = client.next_task_id()
    actor_id = actor_id_of(task_id)
    number = cls.number.to_bytes(16, "little")
    definition = FunctionDef(client.next_number(), number, f"C{cls.number}", number)
    resources = dict(cls.resources) if place is None else place.holds({})
    creation = gcs.CreateActor(
        0,
        StartActor(
            actor_id, 0, definition, args, None, None, execution.context, resources,
            "" if cls.detached else client.address, cls.name, cls.concurrency, dict(cls.groups), task_id=task_id,
        ),
        cls.name, client.namespace, cls.detached, cls.restarts, cls.task_retries, f"C{cls.number}",
        cls.number.to_bytes(4, "little"), get_if_exists=cls.get_if_exists,
    )  # fmt: skip
    lock = Lock()
    answer = Answer(Waiter(1, lock.release)) if cls.name else None
    constructor = Function(FunctionDef(client.next_number(), b"", f"C{cls.number}", b""), "init", resources)
    task = Task(
        task_id, constructor, args, execution.context, parent=execution.task_id, creation=creation, answer=answer
    )
    if deps:
        task.deps = [ref.oid for ref in deps]
    refs = [ref.oid for ref in nested if ref.oid]
    if refs:
        task.refs = refs
    client.oracle.created(client, task, actor_id, cls, place)
    client.post(task)
    handle = Handle(actor_id, cls.number, cls.task_retries, counted=not cls.detached)
    ref = Ref(client, task_id + FIRST_RETURN, client.address, handle)
    if answer is not None:
        try:
            reply: Any = yield from wait_for_answer(answer, lock)
        except BaseException:
            ref.drop()
            raise
        if reply.error is not None:
            ref.drop()
            raise RemoteError(reply.error)
        existing = handle_from_reply(client, reply.data)
        assert existing.handle is not None
        if existing.handle.actor_id != actor_id:
            ref.drop()
            return existing
    if cls.detached:
        ref.drop()
        return Ref(client, b"", "", handle)
    return ref


def handle_from_reply(client: SimClient, data: bytes) -> Ref:
    """A handle by name: it does not keep the actor alive."""
    known = msgspec.msgpack.decode(data)
    number = int.from_bytes(known["methods"], "little")
    return Ref(client, b"", "", Handle(known["actor_id"], number, known["max_task_retries"], counted=False))


def find_actor(client: SimClient, name: str) -> Steps:
    """A handle to a named actor; raises `RemoteError` where there is none."""
    reply: Any = yield from ask(client, client.machine.gcs, gcs.NamedActor(0, name, client.namespace))
    if reply.error is not None:
        raise RemoteError(reply.error)
    return handle_from_reply(client, reply.data)


def kill_actor(client: SimClient, handle: Handle, *, no_restart: bool) -> None:
    client.oracle.kill_asked(handle.actor_id)
    client.post(KillByHandle(handle.actor_id, no_restart))


def may_call(client: SimClient, actor_id: bytes, cls: ActorClass) -> bool:
    """Whether one more call may be pending (else it would be a PendingCallsLimitExceeded)."""
    if cls.pending_max < 0:
        return True
    actor = client.machine.actors.of(actor_id)
    return actor.limited - actor.concluded < cls.pending_max
