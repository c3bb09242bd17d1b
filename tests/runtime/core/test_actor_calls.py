"""A caller's view of an actor whose fate the GCS can't make durable, or can again."""

from __future__ import annotations

from raynb.runtime.core.actors import Actors
from raynb.runtime.core.effects import Send
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.task import Function, Story, Task
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import ActorState, WatchActor
from raynb.runtime.messages.node import AreAlive, ProcessDied
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, Result, TasksDone, TasksReturned
from raynb.runtime.messages.values import Failed, Inline
from tests.runtime.core.owner_world import GCS as GCS_ADDRESS
from tests.runtime.core.owner_world import HOME, A, B, OwnerWorld, at

ME, NODE, GCS, WORKER = "ipc://me", "ipc://node", "ipc://gcs", "ipc://w1"
ACTOR = b"a" * 16
AWAY = Failed("ActorUnavailableError", "it can't be called now: the store is away")


class Caller:
    """One process that calls one actor."""

    def __init__(self) -> None:
        self.failures: list[Failed] = []
        self.actors = Actors(Config(), GCS, Ownership(ME, NODE), Story(), self.failed, self.attempt_failed)
        self.function = Function(FunctionDef(1, b"f" * 16, "f", b""), "f", {})
        self.number = 0
        self.actors.of(ACTOR)

    def failed(self, task: Task, failure: Failed) -> None:
        self.failures.append(failure)

    def attempt_failed(self, task: Task, failure: Failed, now: float) -> None:
        assert failure.message.endswith("so it may have run: it is being restarted") and task.retries_left != 0
        task.attempt += 1

    def call(self, retries: int = 0, now: float = 0.0) -> list[PushTasks | WatchActor]:
        self.number += 1
        task = Task(self.number.to_bytes(24, "big"), self.function, b"", ContextDef(1, b"jobb", "ns", ME))
        task.actor, task.retries_left = self.actors.of(ACTOR), retries
        self.actors.submit(task, now)
        return self.pump(now)

    def hear(self, state: str, incarnation: int = 0, worker: str = "", failure: Failed | None = None) -> None:
        self.actors.on_state(ActorState(ACTOR, state, incarnation, worker, failure), 0.0)
        self.actors.check()

    def pump(self, now: float = 0.0) -> list[PushTasks | WatchActor]:
        effects = [effect.message for effect in self.actors.pump(now) if isinstance(effect, Send)]
        return [message for message in effects if isinstance(message, PushTasks | WatchActor)]


def test_calls_fail_while_nobody_can_say_what_becomes_of_their_actor() -> None:
    caller = Caller()
    caller.call()
    caller.hear("ALIVE", worker=WORKER)
    assert len(caller.pump()) == 1
    caller.call(retries=-1)
    caller.hear("RESTARTING", failure=AWAY)
    assert [failure.kind for failure in caller.failures] == ["ActorUnavailableError"] * 2
    assert caller.call() == [], "nothing waits for what may never be told"
    assert caller.failures[2] == AWAY


def test_an_actor_is_called_again_when_its_fate_is_known() -> None:
    caller = Caller()
    caller.hear("ALIVE", worker=WORKER)
    caller.call()
    caller.hear("RESTARTING", failure=AWAY)
    again = [effect.message for effect in caller.actors.tick(60.0)]
    assert again == [WatchActor(ACTOR)], "the news of it may be lost"
    caller.hear("ALIVE", 1, "ipc://w2")
    assert [type(message) for message in caller.call()] == [PushTasks]


def test_while_an_actor_restarts_calls_fail_that_may_not_be_repeated() -> None:
    caller = Caller()
    caller.hear("ALIVE", worker=WORKER)
    caller.hear("RESTARTING", 1)
    caller.call()
    caller.call(retries=2)
    caller.call()
    assert [failure.kind for failure in caller.failures] == ["ActorUnavailableError"] * 2
    assert "restarting, and this call failed before it started" in caller.failures[0].message
    caller.hear("ALIVE", 1, "ipc://w2")
    (push,) = caller.pump()
    assert isinstance(push, PushTasks) and len(push.tasks) == 1, "the one that may be repeated has waited"


def test_before_an_actor_has_lived_calls_wait_however_often_its_constructor_is_run() -> None:
    caller = Caller()
    caller.hear("PENDING_CREATION")
    caller.call()
    caller.hear("RESTARTING", 1)
    caller.call()
    assert not caller.failures
    caller.hear("ALIVE", 1, "ipc://w2")
    (push,) = caller.pump()
    assert isinstance(push, PushTasks) and len(push.tasks) == 2
    caller.hear("RESTARTING", 2)
    caller.call()
    assert [failure.kind for failure in caller.failures][-1] == "ActorUnavailableError", "it has lived by now"


def test_calls_that_could_not_be_pushed_anyway_wait_for_the_restart() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    behind = [world.ask(ACTOR, world.call(B)), world.ask(ACTOR)]
    world.tell(GCS_ADDRESS, ActorState(ACTOR, "RESTARTING", 1))
    assert [world.value(call) for call in behind] == [None, None]


def test_calls_of_an_actor_whose_calls_may_be_repeated_wait_for_the_restart() -> None:
    caller = Caller()
    caller.hear("ALIVE", worker=WORKER)
    caller.actors.on_state(ActorState(ACTOR, "RESTARTING", 1, max_task_retries=-1), 0.0)
    assert caller.call() == [] and not caller.failures


def test_the_death_of_an_actor_is_final_after_it_was_unavailable() -> None:
    caller = Caller()
    caller.hear("ALIVE", worker=WORKER)
    caller.hear("RESTARTING", failure=AWAY)
    died = Failed("ActorDiedError", "it died")
    caller.hear("DEAD", failure=died)
    caller.hear("RESTARTING", failure=AWAY)
    caller.call()
    assert caller.failures == [died]


def test_what_an_actor_was_given_stays_until_its_process_is_gone() -> None:
    caller = Caller()
    objects = caller.actors._objects
    for oid in (b"x" * 28, b"y" * 28):
        objects.create(oid, 0)
        objects.pin(oid)
        caller.actors.let_go_with(WORKER, [oid], 0.0)
    assert len(objects.entries) == 2, "it may still be read there"
    caller.actors.worker_died(WORKER, "killed", 0.0)
    assert not objects.entries


def test_what_an_actor_without_a_process_was_given_is_let_go_at_once() -> None:
    caller = Caller()
    objects = caller.actors._objects
    objects.dead.add(WORKER)
    for oid, worker in ((b"x" * 28, ""), (b"y" * 28, WORKER)):
        objects.create(oid, 0)
        objects.pin(oid)
        caller.actors.let_go_with(worker, [oid], 0.0)
    assert not objects.entries


def test_what_a_dead_actor_has_answered_counts_until_its_process_is_gone() -> None:
    """The news of its death take another way than its last results, and may be faster."""
    world = OwnerWorld()
    world.lives(ACTOR, A)
    answered, unanswered, later = world.ask(ACTOR), world.ask(ACTOR), world.ask(ACTOR, world.call(B))
    died = Failed("ActorDiedError", "it ended itself", actor=ACTOR)
    world.tell(GCS_ADDRESS, ActorState(ACTOR, "DEAD", 1, at(A, "actor0"), died))
    assert world.failure(later) == died, "it was never sent"
    assert world.value(answered) is None and world.failure(world.ask(ACTOR)) == died
    world.end(answered, Inline(b"its answer"))
    assert world.value(answered) == Inline(b"its answer") and world.value(unanswered) is None
    world.tell(HOME, ProcessDied(at(A, "actor0"), "worker", 7, "it ended"))
    assert "may have run" in world.failure(unanswered).message


def test_the_end_of_a_dead_actors_process_is_asked_about() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    call = world.ask(ACTOR)
    world.tell(GCS_ADDRESS, ActorState(ACTOR, "DEAD", 1, at(A, "actor0"), Failed("ActorDiedError", "it ended itself")))
    world.tick()
    world.take(AreAlive)
    world.tick()
    assert [message.addresses for _, message in world.take(AreAlive)] == [[at(A, "actor0")]] and world.value(
        call
    ) is None


def test_what_a_dead_actor_gives_back_or_would_try_again_fails() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    calls = [world.ask(ACTOR) for _ in range(2)]
    (first, worker), (second, _) = [(world.running[call[:24]][1].seq, world.running[call[:24]][0]) for call in calls]
    died = Failed("ActorDiedError", "it ended itself", actor=ACTOR)
    world.tell(GCS_ADDRESS, ActorState(ACTOR, "DEAD", 1, worker, died))
    world.tell(worker, TasksReturned([first], "exiting"))
    raised = Failed("RayTaskError", "it raised")
    world.tell(worker, TasksDone([Result(second, 0.0, 0.1, [raised], retryable=True)]))
    assert [world.failure(call) for call in calls] == [died, raised]
