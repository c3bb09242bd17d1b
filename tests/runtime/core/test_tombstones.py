"""Tasks that are cancelled whatever their owners say: at the node manager, and at the workers."""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.effects import Received
from raynb.runtime.core.executor import ExecutorMachine, Interrupt, TellRunning, Work
from raynb.runtime.core.node_effects import LookAtPage, PageSeen
from raynb.runtime.messages import Config
from raynb.runtime.messages.acts import CancelTasks, Tombstones, TombstonesSeen
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, TasksDone, TaskSpec
from raynb.runtime.messages.values import Failed
from tests.runtime.core.node_world import GCS, World, actor_message, sent

TASK, OTHER = b"t" * 24, b"o" * 24
PATIENCE_S = Config().interrupt_patience_s


def cancelled(world: World, *tasks: bytes) -> list[Any]:
    return world.receive(GCS, CancelTasks(1, list(tasks or (TASK,))))


def leased() -> tuple[World, str]:
    """A node with a driver that has leased a worker."""
    world = World()
    world.start()
    world.driver_joins("d")
    (grant,) = world.demand("d", 1, CPU=1)
    return world, grant.worker


# -- at the node manager


def test_a_tombstone_goes_to_every_client_and_is_answered_at_once() -> None:
    world, _ = leased()
    effects = cancelled(world)
    assert [send.to for send in sent(effects, Tombstones)] == [*world.living.values(), "d"]
    assert [(send.to, send.message) for send in sent(effects, Reply)] == [(GCS, Reply(1))]


def test_who_comes_later_is_told_not_to_run_it() -> None:
    world, worker = leased()
    cancelled(world)
    world.worker_dies(worker)
    world.tick()
    newcomer = world.worker_joins()
    assert world.told(newcomer, Tombstones) == Tombstones([TASK], again=True)


def test_a_worker_that_does_not_run_it_is_not_asked_again() -> None:
    world, worker = leased()
    cancelled(world)
    for address in world.living.values():
        world.receive(address, TombstonesSeen([TASK], []))
    assert not world.machine.tombstones.watching
    assert not sent(world.tick(PATIENCE_S + 1), Tombstones)
    assert worker in world.living.values() and not world.ended()


def test_a_worker_where_it_does_not_stop_is_told_to_end_itself() -> None:
    world, worker = leased()
    cancelled(world)
    world.receive(worker, TombstonesSeen([TASK], [TASK]))
    asked = [send.message for send in sent(world.tick(1.0), Tombstones) if send.to == worker]
    assert asked == [Tombstones([TASK], again=True)], "it is interrupted once, and has time to clean up"
    world.receive(worker, TombstonesSeen([TASK], [TASK]))
    asked = [send.message for send in sent(world.tick(PATIENCE_S), Tombstones) if send.to == worker]
    assert Tombstones([TASK], again=True, force=True) in asked
    world.receive(worker, TombstonesSeen([TASK], []))
    assert worker not in [send.to for send in sent(world.tick(2.0), Tombstones)]


def test_a_worker_that_cannot_answer_is_ended_if_its_page_has_the_task() -> None:
    world, worker = leased()
    token = worker.removeprefix("ipc://")
    cancelled(world)
    world.tick(PATIENCE_S)
    looked = [effect for effect in world.tick(1.0) if isinstance(effect, LookAtPage)]
    assert LookAtPage(token) in looked
    world.handle(PageSeen(token, OTHER))
    assert not world.ended(), "it holds the interpreter in a task that nobody has cancelled"
    world.handle(PageSeen(token, TASK))
    assert world.ended() == [token]


def test_a_worker_that_answers_is_not_judged_by_its_page() -> None:
    world, worker = leased()
    token = worker.removeprefix("ipc://")
    cancelled(world)
    world.tick(PATIENCE_S)
    world.tick(1.0)
    world.receive(worker, TombstonesSeen([TASK], [TASK]))
    world.handle(PageSeen(token, TASK))
    assert not world.ended(), "the page may be of a task that is over"


def test_an_actors_process_is_never_ended_for_a_call() -> None:
    world = World()
    world.start()
    world.receive(GCS, actor_message())
    actor = next(w for w in world.machine.pool.workers.values() if w.actor_id)
    cancelled(world)
    world.receive(actor.address, TombstonesSeen([TASK], [TASK]))
    for _ in range(4):
        effects = world.tick(PATIENCE_S)
        assert not any(send.message.force for send in sent(effects, Tombstones) if send.to == actor.address)
    assert not world.ended()
    assert actor.address not in [send.to for send in sent(world.tick(1.0), Tombstones)]


# -- at a worker


def push(*tasks: bytes, first: int = 1, lease: int = 1) -> PushTasks:
    specs = [TaskSpec(seq, task, 1, b"", context=1) for seq, task in enumerate(tasks, first)]
    return PushTasks(lease, specs, [FunctionDef(1, b"f" * 16, "f", b"")], [ContextDef(1, b"jobb", "ns", "d")])


def done(effects: list[Any]) -> list[tuple[str, int, str]]:
    """Who was told of which failure."""
    found = []
    for send in sent(effects, TasksDone):
        for result in send.message.results:
            (value,) = result.values
            assert isinstance(value, Failed)
            found.append((send.to, result.seq, value.kind))
    return found


def test_a_worker_refuses_what_comes_later_whoever_pushes_it() -> None:
    machine = ExecutorMachine()
    machine.handle(Received("node", Tombstones([TASK], again=True)), 0.0)
    effects = machine.handle(Received("owner", push(OTHER, TASK)), 0.0)
    assert done(effects) == [("owner", 2, "TaskCancelledError")]
    assert [job.spec.task_id for job in machine.queue] == [OTHER] and Work() in effects
    machine.check()


def test_a_worker_takes_it_out_of_its_queue_and_tells_who_has_pushed_it() -> None:
    machine = ExecutorMachine()
    machine.handle(Received("owner", push(OTHER, TASK)), 0.0)
    effects = machine.handle(Received("node", Tombstones([TASK])), 0.0)
    assert done(effects) == [("owner", 2, "TaskCancelledError")]
    assert not any(isinstance(effect, Interrupt) for effect in effects)
    assert TellRunning("node", [TASK]) in effects


def test_a_worker_interrupts_it_once_and_ends_itself_when_it_is_told_to() -> None:
    machine = ExecutorMachine()
    first = machine.handle(Received("node", Tombstones([TASK])), 0.0)
    again = machine.handle(Received("node", Tombstones([TASK], again=True)), 0.0)
    force = machine.handle(Received("node", Tombstones([TASK], again=True, force=True)), 0.0)
    assert first == [Interrupt(TASK, recursive=True, force=False), TellRunning("node", [TASK])]
    assert again == [TellRunning("node", [TASK])]
    assert force == [Interrupt(TASK, recursive=False, force=True), TellRunning("node", [TASK])]
