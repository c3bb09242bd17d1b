"""Which task has written what of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raynb.runtime.adapters import log_tasks
from raynb.runtime.adapters.log_tasks import NOBODY, LogTasks, written_by

ONE, TWO = b"1" * 24, b"2" * 24


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "worker-w1.out"
    path.touch()
    return path


@pytest.fixture
def write(log: Path) -> Iterator[Callable[[bytes, bytes], None]]:
    tasks = LogTasks(str(log))

    def write(task_id: bytes, text: bytes) -> None:
        tasks.writes(task_id, log.stat().st_size)
        with log.open("ab") as file:
            file.write(text)

    yield write
    tasks.close()


def test_each_task_has_its_own_in_order(log: Path, write: Callable[[bytes, bytes], None]) -> None:
    for task_id, text in ((ONE, b"a"), (ONE, b"b"), (TWO, b"c"), (NOBODY, b"d"), (ONE, b"e")):
        write(task_id, text)
    assert (written_by(log, ONE), written_by(log, TWO), written_by(log, b"3" * 24)) == (b"abe", b"c", b"")


def test_what_is_gone_with_the_beginning_of_a_log_is_nobodys(log: Path, write: Callable[[bytes, bytes], None]) -> None:
    write(ONE, b"long ago")
    write(TWO, b"also")
    log.write_bytes(b"")
    write(TWO, b"now")
    assert (written_by(log, ONE), written_by(log, TWO)) == (b"", b"now")


def test_a_log_without_records_is_nobodys(log: Path) -> None:
    log.write_bytes(b"text")
    assert written_by(log, ONE) == b""


def test_after_very_many_changes_the_rest_is_nobodys(
    log: Path, write: Callable[[bytes, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tasks, "RECORDS_MAX", 3)
    for task_id, text in ((ONE, b"a"), (TWO, b"b"), (ONE, b"c"), (TWO, b"d"), (ONE, b"e")):
        write(task_id, text)
    assert (written_by(log, ONE), written_by(log, TWO)) == (b"ac", b"b")
