"""What is kept of failed tasks, for how long, and how one is found again."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.core.failed_tasks import FailedTasks, KeepFailures, Recalled, RecallFailure
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.task import Function, Task
from raynb.runtime.core.waiters import Waiter, Wake
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from raynb.runtime.messages.values import Failed, Inline, Stored

ME, NODE = "ipc://me", "ipc://node"
CONTEXT = ContextDef(1, b"jobb", "ns", ME)
CALL_BYTES = 10


class World:
    """An owner with objects of given sizes, and tasks that fail with them."""

    def __init__(self, count: int = 3, nbytes: int = 1000) -> None:
        self.objects = Ownership(ME, NODE)
        self.failed = FailedTasks(self.objects)
        self.say(KeepFailures(count, nbytes))
        self.function = Function(FunctionDef(1, b"f" * 16, "f", b"blob"), "f", {})
        self.number = 0

    def say(self, item: Any) -> None:
        self.failed.handlers[type(item)](item, 0.0)
        self.failed.check()

    def put(self, size: int) -> bytes:
        """An object that nothing but what uses it keeps."""
        self.number += 1
        oid = self.number.to_bytes(24, "big") + FIRST_RETURN
        self.objects.create(oid, 1)
        self.objects.settle(oid, Stored(oid, ME, NODE, "s", 0, size))
        return oid

    def fail(self, *deps: bytes, kind: str = "RayTaskError", refs: tuple[bytes, ...] = ()) -> bytes:
        """A task with these inputs fails; its own object."""
        self.number += 1
        task = Task(self.number.to_bytes(24, "big"), self.function, b"a" * (CALL_BYTES - 4), CONTEXT)
        task.deps, task.refs = list(deps), list(refs)
        oid = task.id + FIRST_RETURN
        self.objects.create(oid, 1)
        failure = Failed(kind, f"failure {self.number}")
        self.failed.add(task, failure)
        self.objects.settle(oid, failure)
        self.failed.check()
        return oid

    def let_go(self, *oids: bytes) -> None:
        for oid in oids:
            self.objects.release(oid)
        self.objects.check()

    def recall(self, oid: bytes = b"") -> Recalled | None:
        item = RecallFailure(oid, Waiter(0, None))
        self.say(item)
        assert any(isinstance(effect, Wake) and effect.waiter is item.waiter for effect in self.objects.flush())
        return item.found

    def alive(self, *oids: bytes) -> list[bool]:
        return [oid in self.objects.entries for oid in oids]


def test_the_inputs_of_a_failed_task_stay_when_nobody_else_holds_them() -> None:
    world = World()
    value, inside = world.put(100), world.put(50)
    failed = world.fail(value, refs=(inside,))
    world.let_go(value, inside)
    found = world.recall(failed)
    assert found is not None and [info.oid for info in found.inputs] == [value, inside]
    assert {info.owner for info in found.inputs} == {ME}
    world.let_go(value, inside)  # what the recall has retained
    assert world.alive(value, inside) == [True, True]
    world.say(KeepFailures(0, 0))
    assert world.alive(value, inside) == [False, False]


def test_nothing_is_kept_until_somebody_asks() -> None:
    world = World(count=0)
    value = world.put(1)
    world.fail(value)
    world.let_go(value)
    assert world.alive(value) == [False] and len(world.failed) == 0


@pytest.mark.parametrize("kind", ["TaskCancelledError", "ActorDiedError", "WorkerCrashedError"])
def test_what_did_not_raise_is_not_kept(kind: str) -> None:
    world = World()
    world.fail(kind=kind)
    assert len(world.failed) == 0


def test_only_the_last_failures_are_kept() -> None:
    world = World(count=2)
    inputs = [world.put(1) for _ in range(3)]
    failures = [world.fail(oid) for oid in inputs]
    world.let_go(*inputs)
    assert world.alive(*inputs) == [False, True, True]
    assert world.recall(failures[0]) is None
    last = world.recall()
    assert last is not None and last.task.id == failures[2][:24]


def test_beyond_the_bytes_the_oldest_failures_lose_their_inputs_but_stay() -> None:
    world = World(nbytes=1000)
    inputs = [world.put(400) for _ in range(3)]
    failures = [world.fail(oid) for oid in inputs]
    world.let_go(inputs[0], inputs[1])
    assert world.alive(*inputs) == [False, True, True]
    first = world.recall(failures[0])
    assert first is not None and first.inputs == []


def test_an_input_of_many_failures_counts_once() -> None:
    world = World(nbytes=500)
    shared = world.put(400)
    for _ in range(3):
        world.fail(shared)
    world.let_go(shared)
    assert world.failed.uses(shared) == 3 and world.failed.nbytes == 400 + 3 * CALL_BYTES
    assert world.alive(shared) == [True]
    for _ in range(3):
        world.fail()
    assert world.failed.uses(shared) == 0 and world.alive(shared) == [False]


def test_an_input_that_is_too_large_alone_is_not_kept_yet_found_while_others_hold_it() -> None:
    world = World(nbytes=500)
    value = world.put(5000)
    failed = world.fail(value)
    found = world.recall(failed)
    assert found is not None and [info.oid for info in found.inputs] == [value]
    world.let_go(value, value)
    assert world.alive(value) == [False]


def test_calls_that_are_too_large_go_the_oldest_first_and_the_last_stays() -> None:
    world = World(nbytes=2 * CALL_BYTES)
    failures = [world.fail() for _ in range(3)]
    assert [world.recall(oid) is not None for oid in failures] == [False, True, True]
    world.say(KeepFailures(3, CALL_BYTES - 1))
    assert [world.recall(oid) is not None for oid in failures] == [False, False, True]


def test_what_failed_with_an_input_leads_to_the_failure_of_that() -> None:
    world = World()
    failed = world.fail()
    world.fail()
    dependent = b"d" * 24 + FIRST_RETURN
    world.objects.create(dependent, 1)
    value = world.objects.entries[failed].value
    assert isinstance(value, Failed)
    world.objects.settle(dependent, value)
    found = world.recall(dependent)
    assert found is not None and found.task.id == failed[:24]
    fine = b"e" * 24 + FIRST_RETURN
    world.objects.create(fine, 1)
    world.objects.settle(fine, Inline(b""))
    assert world.recall(fine) is None
