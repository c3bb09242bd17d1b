"""Logs that stay short, and pauses before what keeps dying is started again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from raynb.runtime.daemons import log_files
from raynb.runtime.daemons.head_services import without_secret
from raynb.runtime.daemons.pauses import PAUSE_S_MAX, SHORT_LIFE_S, Pauses


def test_a_log_that_grew_too_long_keeps_its_end_and_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LOG_BYTES_MAX", 1000)
    monkeypatch.setattr(log_files, "LOG_TAIL_KEPT_BYTES", 10)
    path = tmp_path / "gcs.log"
    fd = log_files.open_log(path)
    os.write(fd, b"x" * 1000 + b"0123456789")
    log_files.trim(tmp_path)
    os.write(fd, b"more")
    os.close(fd)
    assert path.read_text() == "more"
    assert (tmp_path / "gcs.log.1").read_text() == "0123456789"
    assert {entry.stat().st_mode & 0o777 for entry in tmp_path.iterdir()} == {0o600}


def test_of_too_many_logs_those_of_the_oldest_workers_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "LOG_FILES_MAX", 3)
    for age, name in enumerate(["worker-w3.log", "worker-w2.log", "gcs.log", "worker-w1.log", "redis.log"]):
        path = tmp_path / name
        path.touch()
        os.utime(path, (time.time() - age, time.time() - age))
    log_files.trim(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"worker-w3.log", "gcs.log", "redis.log"}


def test_a_tail_is_a_page_at_most(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("\n".join(f"line {number}" for number in range(10_000)))
    lines = log_files.tail(path).splitlines()
    assert len(lines) == log_files.TAIL_LINES_MAX
    assert lines[-1] == "line 9999"
    assert log_files.tail(tmp_path / "nothing") == ""


def test_the_first_restart_is_at_once_and_short_lives_make_pauses_grow() -> None:
    pauses = Pauses()
    now, waited = 0.0, []
    for _ in range(12):
        pauses.started(now)
        now += 0.1
        died = now
        while not pauses.over(now):
            now += 0.05
        waited.append(round(now - died, 3))
    assert waited[0] == 0.0
    assert waited == sorted(waited)
    assert waited[-1] == pytest.approx(PAUSE_S_MAX, abs=0.1)
    pauses.started(now)
    assert pauses.over(now + SHORT_LIFE_S), "it had lived long"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:p@ss@host:1/0", "redis://host:1/0"),
        ("rediss://host", "rediss://host"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_secret(url: str, shown: str) -> None:
    assert without_secret(url) == shown
