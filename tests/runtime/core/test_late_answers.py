"""What arrives late, or in another order than it was asked for: each found by a seed of the simulation."""

from __future__ import annotations

import threading

import msgspec

from raynb.runtime.core.effects import Received, Send
from raynb.runtime.core.executor import ExecutorMachine
from raynb.runtime.core.inbox import Answer
from raynb.runtime.core.task import Function, Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.gcs import CreateActor, Reply
from raynb.runtime.messages.ids import FIRST_RETURN, actor_id_of
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, StealTasks, TaskSpec, TasksReturned
from raynb.runtime.messages.values import Inline
from tests.runtime.core.owner_world import GCS, ME, A, OwnerWorld

CONTEXT = ContextDef(1, b"jobb", "ns", ME)
CLASS = FunctionDef(1, b"c" * 16, "C", b"")


def test_who_had_a_worker_before_steals_nothing_of_who_has_it_now() -> None:
    machine = ExecutorMachine()
    specs = [TaskSpec(seq, bytes([seq]) * 24, 1, b"", context=1) for seq in (1, 2, 3)]
    machine.handle(Received("now", PushTasks(2, specs, [CLASS], [CONTEXT])), 0.0)
    late = machine.handle(Received("before", StealTasks(2)), 0.0)
    assert late == [Send("before", TasksReturned([], "stolen"))] and len(machine.queue) == 3
    stolen = machine.handle(Received("now", StealTasks(2)), 0.0)
    assert stolen == [Send("now", TasksReturned([3, 2], "stolen"))]


def test_a_creator_is_given_the_actor_that_has_the_name_by_whichever_answer_is_first() -> None:
    """Its name is asked for before its inputs are there, and once more with them; the first answer is lost."""
    world = OwnerWorld()
    input_ = world.call(A)
    lock = threading.Lock()
    answer = Answer(Waiter(1, lock.release))
    lock.acquire()
    task_id = b"t" * 24
    start = StartActor(actor_id_of(task_id), 0, CLASS, b"", None, None, CONTEXT, {}, ME, "name", task_id=task_id)
    creation = CreateActor(0, start, "name", "ns", False, 0, 0, "C", b"", get_if_exists=True)
    task = Task(task_id, Function(CLASS, "init", {}), b"", CONTEXT, creation=creation, answer=answer)
    task.deps = [input_]
    world.say(task)
    world.end(input_, Inline(b"there"))
    early, late = [message for to, message in world.sent if to == GCS and isinstance(message, CreateActor)]
    assert early.awaits and not late.awaits and answer.reply is None
    other = msgspec.msgpack.encode({"actor_id": b"another one's id"})
    world.tell(GCS, Reply(late.request, data=other))
    assert isinstance(answer.reply, Reply) and answer.reply.data == other
    world.let_go(task_id + FIRST_RETURN, input_)
