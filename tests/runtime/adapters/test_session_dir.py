"""Session directories: made private, held by a lock, and removed once nobody holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from raynb.runtime.adapters import session_dir
from raynb.runtime.adapters.private_files import UnsafePathError
from raynb.runtime.adapters.session_dir import (
    SOCKET_PATH_BYTES_MAX,
    Session,
    SessionError,
    Swept,
    adopt_session,
    create_session,
    is_held,
    open_session,
    session_roots,
    sweep,
)
from tests.runtime.state_backends import nothing_left, short_directory
from tests.support.waiting import wait_until

NOTHING = Swept([], 0, 0, [])


class Places(NamedTuple):
    """Instead of /tmp and /dev/shm, so that no test sees what others do there."""

    tempdir: str
    shared_memory: Path

    @property
    def root(self) -> Path:
        return session_roots(self.tempdir)[0]

    def create(self) -> Session:
        return create_session(self.tempdir, shared_memory=self.shared_memory)

    def sweep(self) -> Swept:
        return sweep(self.tempdir, shared_memory=self.shared_memory)

    def segment(self, session: Session | str, size: int = 100) -> Path:
        prefix = session if isinstance(session, str) else session.segment_prefix
        path = self.shared_memory / f"{prefix}{os.urandom(4).hex()}"
        path.write_bytes(b"x" * size)
        return path


@pytest.fixture
def places() -> Iterator[Places]:
    with short_directory() as directory, nothing_left():
        (directory / "shm").mkdir()
        yield Places(str(directory), directory / "shm")


HOLDER = """
import sys
from pathlib import Path
from raynb.runtime.adapters.session_dir import create_session

session = create_session(sys.argv[1], shared_memory=Path(sys.argv[2]))
print(session.path, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def holder(places: Places) -> Iterator[tuple[Session, subprocess.Popen[bytes]]]:
    """A session that another process has made and holds."""
    argv = [sys.executable, "-c", HOLDER, places.tempdir, str(places.shared_memory)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().decode().strip())
        try:
            yield open_session(path, shared_memory=places.shared_memory), process
        finally:
            process.kill()


def test_a_session_and_all_places_in_it_are_the_users_alone(places: Places) -> None:
    session = places.create()
    for path in (session.path.parent, session.path, session.sockets, session.logs, session.redis):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert session.path.parent == places.root
    assert session.segment_prefix == f"raynb-{session.name}-"
    session.remove()


def test_the_longest_socket_path_in_a_session_can_be_bound(places: Places) -> None:
    deep = Path(places.tempdir)
    while len(os.fsencode(session_roots(str(deep / "d"))[0] / "012345678901" / session_dir.LONGEST_SOCKET)) <= 107:
        deep = deep / "d"
    deep.mkdir(parents=True)
    session = create_session(str(deep), shared_memory=places.shared_memory)
    path = session.path / session_dir.LONGEST_SOCKET
    assert SOCKET_PATH_BYTES_MAX - 2 < len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    session.remove()


def test_a_temporary_directory_too_deep_for_sockets_is_an_error_that_says_so(places: Places) -> None:
    with pytest.raises(SessionError, match=r"too long a path.*Set TMPDIR"):
        create_session(f"{places.tempdir}/{'d' * 60}", shared_memory=places.shared_memory)


def test_a_tmpdir_too_deep_for_sockets_is_left_for_tmp(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_directory() as directory:
        monkeypatch.setattr(tempfile, "tempdir", str(directory / ("d" * 60)))
        with nothing_left():
            session = create_session(shared_memory=directory)
            assert session.path.parent == Path(f"/tmp/raynb-{os.geteuid()}")
            session.remove()
            assert not session.path.exists()


def test_a_root_that_is_a_symlink_is_refused(places: Places) -> None:
    places.root.symlink_to(places.shared_memory)
    with pytest.raises(UnsafePathError, match="symlink"):
        places.create()
    assert places.sweep() == NOTHING
    assert list(places.shared_memory.iterdir()) == []


def test_a_living_session_is_never_swept(places: Places) -> None:
    with holder(places) as (session, _):
        segment = places.segment(session)
        assert is_held(session.path) is True
        assert places.sweep() == NOTHING
        assert segment.exists()
        assert session.sockets.is_dir()


def test_what_a_killed_session_left_is_removed_to_the_last_byte(places: Places) -> None:
    with holder(places) as (session, process):
        places.segment(session, 1000)
        places.segment(session, 24)
        (session.logs / "log").write_text("words")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(session.sockets / "socket"))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert is_held(session.path) is False
        assert places.sweep() == Swept([session.name], 2, 1024, [])
    assert is_held(session.path) is None
    assert list(places.root.iterdir()) == []
    assert list(places.shared_memory.iterdir()) == []


def test_a_sweep_takes_the_dead_and_leaves_the_living(places: Places) -> None:
    with holder(places) as (dead, process), holder(places) as (living, _):
        dead_segment, living_segment = places.segment(dead), places.segment(living)
        process.kill()
        process.wait()
        assert places.sweep().sessions == [dead.name]
        assert (dead.path.exists(), dead_segment.exists()) == (False, False)
        assert (living.path.exists(), living_segment.exists()) == (True, True)


def test_segments_of_a_living_session_are_safe_from_sweepers_that_do_not_see_its_directory(places: Places) -> None:
    with holder(places) as (session, process), short_directory() as elsewhere:
        segment = places.segment(session)
        assert sweep(str(elsewhere), shared_memory=places.shared_memory) == NOTHING
        assert segment.exists()
        process.kill()
        process.wait()
        assert sweep(str(elsewhere), shared_memory=places.shared_memory) == Swept([], 1, 100, [])
        assert not segment.exists()
    places.sweep()


def test_what_has_another_name_or_no_lock_is_left_alone(places: Places) -> None:
    places.create().remove()
    others = [
        places.segment("raynb-abcdefabcdef-"),  # no session known, no lock
        places.segment("raynb-mine-"),
        places.segment("psm_"),
        places.root / "notes",
        places.root / "ABCDEFABCDEF",
    ]
    for path in others[3:]:
        path.mkdir()
    (places.root / "0123456789ab").symlink_to(places.shared_memory)
    assert places.sweep() == NOTHING
    assert all(path.exists() for path in others)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_files_are_left_alone(places: Places) -> None:
    session = places.create()
    segment = places.segment(session)
    lock = places.shared_memory / f"raynb-{session.name}-lock"
    session.close()
    for path in (session.path, segment, lock):
        os.chown(path, 12345, -1)
    assert places.sweep() == NOTHING
    assert segment.exists()


def test_the_lock_passes_to_a_child_and_outlives_the_parents_hold(places: Places) -> None:
    adopter = """
import sys
from pathlib import Path
from raynb.runtime.adapters.session_dir import adopt_session
session = adopt_session(Path(sys.argv[1]), list(map(int, sys.argv[3:])), shared_memory=Path(sys.argv[2]))
print("adopted", flush=True)
sys.stdin.read()
session.remove()
"""
    session = places.create()
    segment = places.segment(session)
    argv = [sys.executable, "-c", adopter, str(session.path), str(places.shared_memory), *map(str, session.lock_fds)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=session.lock_fds) as child:
        session.close()
        assert child.stdout is not None
        assert child.stdin is not None
        assert places.sweep() == NOTHING
        assert child.stdout.readline() == b"adopted\n"
        assert is_held(session.path) is True
        child.stdin.close()
        assert child.wait(10) == 0
    assert not session.path.exists()
    assert not segment.exists()


def test_descriptors_that_are_not_the_sessions_lock_are_refused(places: Places) -> None:
    one, two = places.create(), places.create()
    for fds in ([], list(two.lock_fds), [9999]):
        with pytest.raises(SessionError, match="don't hold"):
            adopt_session(one.path, fds, shared_memory=places.shared_memory)
    again = os.open(one.path, os.O_RDONLY)
    with pytest.raises(SessionError, match="held by another"):
        adopt_session(one.path, [again], shared_memory=places.shared_memory)
    os.close(again)
    one.remove()
    two.remove()


def test_only_the_holder_removes_a_session(places: Places) -> None:
    session = places.create()
    with pytest.raises(SessionError, match="another process"):
        open_session(session.path, shared_memory=places.shared_memory).remove()
    session.remove()
    with pytest.raises(FileNotFoundError):
        open_session(session.path)


def test_looking_at_a_session_never_makes_it_look_held(places: Places) -> None:
    session = places.create()
    session.close()
    first = os.open(session.path, os.O_RDONLY)
    assert session_dir._lock(first, fcntl.LOCK_SH)
    assert is_held(session.path) is False
    os.close(first)
    places.sweep()


@pytest.mark.parametrize("lock", ["directory", "segments"])
def test_a_sweeper_between_making_and_locking_costs_another_try_and_no_session(
    places: Places, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    take, calls = session_dir._lock, []

    def late(fd: int, kind: int = fcntl.LOCK_EX) -> bool:
        calls.append(fd)
        if len(calls) == (1 if lock == "directory" else 2):
            with short_directory() as elsewhere:  # whence it does not see the directory that is held
                sweep(places.tempdir if lock == "directory" else str(elsewhere), shared_memory=places.shared_memory)
        return take(fd, kind)

    monkeypatch.setattr(session_dir, "_lock", late)
    session = places.create()
    assert session.sockets.is_dir()
    assert (places.shared_memory / f"raynb-{session.name}-lock").exists()
    assert places.sweep() == NOTHING
    session.remove()


RACER = """
import os, sys
from pathlib import Path
from raynb.runtime.adapters.session_dir import create_session, sweep

tempdir, shared_memory = sys.argv[1], Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    session = create_session(tempdir, shared_memory=shared_memory)
    segment = shared_memory / (session.segment_prefix + "x")
    segment.write_bytes(b"x")
    sweep(tempdir, shared_memory=shared_memory)
    assert session.sockets.is_dir() and session.redis.is_dir() and segment.exists(), session
    assert (shared_memory / (session.segment_prefix + "lock")).exists()
    os.getpid() % 2 and session.remove() or session.close()
print("fine", flush=True)
"""


def test_processes_that_make_and_sweep_at_once_never_lose_a_living_session(places: Places) -> None:
    argv = [sys.executable, "-c", RACER, places.tempdir, str(places.shared_memory)]
    with contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) for _ in range(4)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == b"ready\n"
        ends = [racer.communicate(b"go\n")[0] for racer in racers]
    assert ends == [b"fine\n"] * 4
    places.sweep()
    wait_until(lambda: not list(places.root.iterdir()))
    assert list(places.shared_memory.iterdir()) == []
