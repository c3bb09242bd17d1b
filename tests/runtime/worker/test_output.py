"""What a task writes, on its way to the driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raynb.runtime.client.execution import Execution
from raynb.runtime.messages.tasks import ContextDef, TaskOutput
from raynb.runtime.worker import output
from raynb.runtime.worker.output import FLUSH_S, LogFile, OutputRouter, TaskStream


class Worker:
    """Its streams, and what has been sent."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.sent: list[TaskOutput] = []
        self.noted: list[tuple[str, str, tuple[int, int]]] = []
        self.router = OutputRouter(
            lambda driver, message: self.sent.append(message), lambda *noted: self.noted.append(noted)
        )
        self.logs = []
        self.out, self.err = (self._stream(folder / name, name, fd) for name, fd in (("stdout", 1), ("stderr", 2)))

    def _stream(self, path: Path, name: str, fd: int) -> TaskStream:
        path.touch()
        self.logs.append(LogFile(str(path)))
        return TaskStream(self.router, name, fd, self.logs[-1])

    def texts(self) -> list[str]:
        found = [line.text for message in self.sent for line in message.lines]
        self.sent.clear()
        return found


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    monkeypatch.setattr(output.time, "monotonic", lambda: worker.now)
    yield worker
    for log in worker.logs:
        log.close()


def execution(name: str, driver: str = "driver", cell: str = "cell") -> Execution:
    return Execution(ContextDef(1, b"jobb", "ns", driver, cell), name.encode().ljust(24, b"."), name)


def test_a_line_that_is_under_way_is_not_sent_in_two(worker: Worker) -> None:
    worker.router.begin(execution("f"))
    worker.out.write("one")
    worker.router.collect(midway=True)
    assert worker.texts() == [] and worker.router.pending
    worker.out.write(" line\n")
    worker.router.collect(midway=True)
    assert worker.texts() == ["one line\n"] and not worker.router.pending


def test_what_waits_long_for_the_end_of_its_line_is_sent_and_all_when_the_task_has_ended(worker: Worker) -> None:
    worker.router.begin(execution("f"))
    worker.out.write("50 %")
    worker.now += 2 * FLUSH_S
    worker.router.collect(midway=True)
    assert worker.texts() == ["50 %"]
    worker.err.write("100 %")
    worker.router.collect()
    assert worker.texts() == ["100 %"]


def test_what_another_task_has_left_is_sent_though_a_task_runs(worker: Worker) -> None:
    first, second = execution("f"), execution("g")
    worker.router.begin(first)
    worker.out.write("the end")
    worker.router.current = second
    worker.router.collect(midway=True)
    assert worker.texts() == ["the end"]


def test_it_is_noted_where_in_the_logs_the_output_of_another_cell_begins(worker: Worker) -> None:
    worker.router.begin(execution("f"))
    worker.out.write("to the first\n")
    worker.router.begin(execution("g", cell="other"))
    assert worker.noted == [("driver", "cell", (0, 0)), ("driver", "other", (13, 0))]
    assert worker.sent[-1].ends == (13, 0)
