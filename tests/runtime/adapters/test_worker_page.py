"""What a worker wrote into its page is readable after its death, whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from raynb.runtime.adapters.worker_page import PAGE_BYTES, Output, PageContent, WorkerPage, read

TASK = bytes(range(24))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "page")


def test_a_page_without_a_mark_says_that_nothing_began(path: str) -> None:
    WorkerPage.create(path)
    assert read(path) == PageContent(0, 0, b"", 0)


def test_the_last_mark_is_read(path: str) -> None:
    page = WorkerPage.create(path)
    page.mark(7, 1, bytes(24), 0)
    page.mark(7, 2**63, TASK, 3)
    assert read(path) == PageContent(7, 2**63, TASK, 3)


def test_for_whom_it_writes_is_read_beside_the_mark(path: str) -> None:
    page = WorkerPage.create(path)
    page.begin_output("ipc:///driver", "7:cell:ä", (12, 2**40))
    assert read(path).output == Output("ipc:///driver", "7:cell:ä", (12, 2**40))
    page.mark(7, 1, TASK, 0)
    page.begin_output("ipc:///other", "", (13, 14))
    assert read(path) == PageContent(7, 1, TASK, 0, Output("ipc:///other", "", (13, 14)))
    page.begin_output("ipc:///" + "long" * PAGE_BYTES, "", (0, 0))
    assert read(path).output is None


def test_a_mark_outlives_a_worker_that_was_killed(path: str) -> None:
    code = f"""
import time
from raynb.runtime.adapters.worker_page import WorkerPage
page = WorkerPage.create({path!r})
for seq in range(1, 1000):
    page.mark(5, seq, {TASK!r}, 1)
print("marked", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "marked\n"
        worker.send_signal(signal.SIGKILL)
    assert read(path) == PageContent(5, 999, TASK, 1)


@pytest.mark.parametrize("cut", [8, 16, 40, 48, 56])
def test_a_first_mark_under_a_lease_that_was_cut_short_does_not_count(path: str, tmp_path: Path, cut: int) -> None:
    assert torn(path, tmp_path, (5, 90), (6, 1), cut) == PageContent(6, 0, b"", 0)


@pytest.mark.parametrize("cut", [16, 40, 48])
def test_a_mark_that_was_cut_short_leaves_the_one_before(path: str, tmp_path: Path, cut: int) -> None:
    assert torn(path, tmp_path, (5, 90), (5, 91), cut) == PageContent(5, 90, b"", 0)


def torn(path: str, tmp_path: Path, old: tuple[int, int], new: tuple[int, int], cut: int) -> PageContent:
    """The page of a worker that was killed after ``cut`` bytes of the new mark."""
    pages = []
    for name, (lease, seq) in (("old", old), ("new", new)):
        page = WorkerPage.create(str(tmp_path / name))
        page.mark(lease, seq, TASK, 0)
        pages.append((tmp_path / name).read_bytes())
    Path(path).write_bytes(pages[1][:cut] + pages[0][cut:])
    return read(path)


def test_a_page_is_the_users_alone_and_never_anothers_file(path: str, tmp_path: Path) -> None:
    WorkerPage.create(path)
    status = os.stat(path)
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, PAGE_BYTES)
    with pytest.raises(FileExistsError):
        WorkerPage.create(path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        WorkerPage.create(str(tmp_path / "link"))


def test_an_orderly_end_removes_the_page(path: str) -> None:
    WorkerPage.create(path).close()
    with pytest.raises(FileNotFoundError):
        read(path)


def test_a_mark_costs_next_to_nothing(path: str) -> None:
    """0.15 us here; whoever makes it a system call (0.5 us and more) or a message is found."""
    page = WorkerPage.create(path)
    runs = timeit.repeat(lambda: page.mark(7, 12345, TASK, 0), number=20_000, repeat=15)
    assert min(runs) / 20_000 < 0.8e-6
