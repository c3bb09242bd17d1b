"""What a client tells the event hub: whose calls, from which cell, how many."""

from __future__ import annotations

import pytest

from raynb.runtime.core.actors import ActorClient, Actors
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.pools import Connection
from raynb.runtime.core.recorder import LOOK_AGAIN_EACH, Recorder
from raynb.runtime.core.running import running
from raynb.runtime.core.scheduler import Scheduler
from raynb.runtime.core.task import DONE, PUSHED, QUEUED, Function, Story, Task
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.events import RUNNING, TASK_STATES, TaskRows
from raynb.runtime.messages.gcs import ActorProcess
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, Result
from raynb.runtime.messages.values import Failed


class Source:
    """A recorder, and tasks of two functions and two cells."""

    def __init__(self) -> None:
        self.recorder = Recorder(Config(), 0.0)
        self.functions = [Function(FunctionDef(n, b"", name, b""), name, {}) for n, name in enumerate("fg", 1)]
        self.contexts = {cell: ContextDef(n, b"job1", "", "driver", cell) for n, cell in enumerate(["1:5:", "2:6:"], 1)}
        self.made = 0

    def task(self, function: int, cell: str) -> Task:
        self.made += 1
        task = Task(self.made.to_bytes(24, "big"), self.functions[function], b"", self.contexts[cell])
        self.recorder.submitted(task)
        return task

    def flush(self, *runs: Task) -> TaskRows:
        (rows,) = self.recorder.flush(runs)
        assert isinstance(rows, TaskRows)
        return rows


@pytest.fixture
def source() -> Source:
    return Source()


def test_a_function_that_two_cells_call_has_a_name_and_a_count_for_each(source: Source) -> None:
    tasks = [source.task(0, "1:5:"), source.task(0, "2:6:"), source.task(0, "1:5:"), source.task(1, "2:6:")]
    tasks[0].state = DONE
    source.recorder.ended(tasks[0], None, None, 1.0)
    rows = source.flush()
    names = {name.number: (name.function, name.cell) for name in rows.new_names}
    assert set(names.values()) == {("f", "1:5:"), ("f", "2:6:"), ("g", "2:6:")}
    counts = {names[number]: (submitted, finished) for number, submitted, finished, _, _ in rows.totals}
    assert counts == {("f", "1:5:"): (2, 1), ("f", "2:6:"): (1, 0), ("g", "2:6:"): (1, 0)}
    assert [names[number][1] for number in rows.names] == ["1:5:", "2:6:", "1:5:", "2:6:"]


def test_names_are_told_once_and_again_to_a_hub_that_was_restarted(source: Source) -> None:
    source.task(0, "1:5:")
    assert len(source.flush().new_names) == 1
    source.task(0, "1:5:")
    assert source.flush().new_names == []
    source.recorder.send_names_again()
    rows = source.flush()
    assert [name.cell for name in rows.new_names] == ["1:5:"]
    assert rows.totals == [(rows.new_names[0].number, 2, 0, 0, 0)]


def test_what_runs_is_told_once(source: Source) -> None:
    first, _ = source.task(0, "1:5:"), source.task(0, "1:5:")
    rows = source.flush(first)
    running = [at for at, state in enumerate(rows.states) if TASK_STATES[state] == TASK_STATES[RUNNING]]
    assert [rows.ids[24 * at : 24 * at + 24] for at in running] == [first.id]
    assert source.recorder.flush([first]) == []


def test_what_a_call_waits_for_is_told_as_it_changes(source: Source) -> None:
    call = source.task(0, "1:5:")
    call.actor, call.missing = ActorClient(b"a" * 16), 1

    def told() -> list[str]:
        return [
            TASK_STATES[state]
            for _ in range(LOOK_AGAIN_EACH)
            for rows in source.recorder.flush([])
            if isinstance(rows, TaskRows)
            for state in rows.states
        ]

    assert told() == ["PENDING_ARGS_AVAIL"]
    assert told() == []
    call.missing, call.state = 0, QUEUED
    assert told() == ["PENDING_NODE_ASSIGNMENT"]
    call.state, call.pushed_at = PUSHED, 8.0
    assert told() == ["SUBMITTED_TO_WORKER"]
    assert told() == [] and not source.recorder.pending


def test_a_call_that_runs_is_not_told_to_wait(source: Source) -> None:
    call = source.task(0, "1:5:")
    call.actor, call.missing = ActorClient(b"a" * 16), 1
    source.flush()
    call.missing, call.state, call.pushed_at = 0, PUSHED, 8.0
    assert list(source.flush(call).states) == [RUNNING]
    for _ in range(2 * LOOK_AGAIN_EACH):
        assert source.recorder.flush([call]) == []


def test_an_actors_calls_and_its_creation_are_in_the_lane_of_its_process(source: Source) -> None:
    actor = ActorClient(b"a" * 16)
    actor.process = ActorProcess(b"w" * 28, b"n" * 28, 77, began=5.0, took_s=2.0)
    creation, call, unsent = (source.task(0, "1:5:") for _ in range(3))
    call.actor = unsent.actor = actor
    call.pushed_at = 8.0
    source.recorder.constructed(creation, actor.process, None, 7.5)
    source.recorder.ended(call, Result(1, 8.5, 0.5, []), None, 9.0)
    source.recorder.ended(unsent, None, Failed("ActorDiedError", "it is dead"), 9.0)
    rows = source.flush()
    (worker,) = rows.new_workers
    assert (worker.worker_id, worker.node_id, worker.pid) == (b"w" * 28, b"n" * 28, 77)
    assert rows.workers[:3] == [worker.number, worker.number, -1]
    assert (rows.started[0], rows.ended[0]) == (5.0, 7.0)


def test_an_actor_runs_as_many_calls_as_it_takes_at_once(source: Source) -> None:
    config, objects = Config(), Ownership("me", "node")
    actors = Actors(config, "gcs", objects, Story(), lambda task, failure: None, lambda *args: None)
    scheduler = Scheduler(config, "node", objects, Story(), lambda task, failure: None, lambda *args: None)
    actor = actors.of(b"a" * 16)
    actor.connection, actors.by_worker["w"] = Connection("w"), actor
    calls = [source.task(0, "1:5:") for _ in range(4)]
    actor.connection.inflight = dict(enumerate(calls))
    assert running(scheduler, actors) == calls[:1]
    actor.process = ActorProcess(b"w" * 28, b"n" * 28, 77, concurrency=3)
    assert running(scheduler, actors) == calls[:3]
