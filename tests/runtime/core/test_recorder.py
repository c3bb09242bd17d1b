"""What a client tells the event hub: whose calls, from which cell, how many."""

from __future__ import annotations

import pytest

from raynb.runtime.core.recorder import Recorder
from raynb.runtime.core.scheduler import Connection
from raynb.runtime.core.task import DONE, Function, Task
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.events import RUNNING, TASK_STATES, TaskRows
from raynb.runtime.messages.tasks import ContextDef, FunctionDef


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

    def flush(self, *connections: Connection) -> TaskRows:
        rows = self.recorder.flush(connections)
        assert rows is not None
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


def test_the_first_that_was_sent_anywhere_runs(source: Source) -> None:
    first, second = source.task(0, "1:5:"), source.task(0, "1:5:")
    connection = Connection("worker")
    connection.inflight = {1: first, 2: second}
    rows = source.flush(connection)
    running = [at for at, state in enumerate(rows.states) if TASK_STATES[state] == TASK_STATES[RUNNING]]
    assert [rows.ids[24 * at : 24 * at + 24] for at in running] == [first.id]
