"""What whoever starts a cluster is told when it does not start."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raynb.runtime.adapters.daemon_process import DaemonProcess
from raynb.runtime.adapters.launch import ClusterLaunchError, ClusterOptions, launch_cluster, read_cluster_info
from raynb.runtime.adapters.processes import is_alive
from tests.support.waiting import wait_until


def interpreter(tmp_path: Path, script: str) -> str:
    """Something in place of Python."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


def options(tmp_path: Path) -> ClusterOptions:
    return ClusterOptions(registry_dir=str(tmp_path / "registry"), driver_pid=os.getpid())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_interpreter_that_does_not_even_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(ClusterLaunchError, match=r"daemon ended[\s\S]*No module named"):
        launch_cluster(options(tmp_path), python=interpreter(tmp_path, 'echo "No module named raynb" >&2; exit 1'))
    assert open_files() == before


def test_one_that_is_never_ready_is_given_up_and_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(ClusterLaunchError, match=r"not ready within 0\.5 s"):
        python = interpreter(tmp_path, f"sleep 60 & echo $! > {pid_file}; wait")
        launch_cluster(options(tmp_path), python=python, timeout_s=0.5)
    assert time.monotonic() - began < 5
    wait_until(lambda: not is_alive(int(pid_file.read_text())), what="all that it started has ended")


def test_what_is_no_report_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(ClusterLaunchError, match="daemon ended"):
        launch_cluster(options(tmp_path), python=interpreter(tmp_path, "cat > /dev/null; echo hello"))


def test_an_interpreter_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(FileNotFoundError):
        launch_cluster(options(tmp_path), python=str(tmp_path / "nothing"))
    assert open_files() == before


def test_options_are_no_arguments(tmp_path: Path) -> None:
    """Everybody can read arguments, and the URL of a Redis may have a password."""
    seen = tmp_path / "seen"
    with pytest.raises(ClusterLaunchError):
        python = interpreter(tmp_path, f'echo "$@" > {seen}; env >> {seen}; cat > /dev/null')
        launch_cluster(ClusterOptions(redis="redis://:sesame@host", registry_dir=str(tmp_path)), python=python)
    assert "raynb.runtime.daemons.node_manager" in seen.read_text()
    assert "sesame" not in seen.read_text()


def test_a_daemon_may_be_started_before_anybody_knows_its_options(tmp_path: Path) -> None:
    before = open_files()
    daemon = DaemonProcess(interpreter(tmp_path, "cat > /dev/null; echo no >&2"))
    with pytest.raises(ClusterLaunchError, match="no"):
        launch_cluster(options(tmp_path), daemon=daemon)
    assert open_files() == before


def test_a_daemon_that_nobody_wants_after_all_is_ended(tmp_path: Path) -> None:
    before = open_files()
    daemon = DaemonProcess()
    pid = daemon.pid
    daemon.abandon()
    wait_until(lambda: not group_of(pid))
    assert open_files() == before


def test_a_daemon_whose_starter_ends_without_a_word_ends_too(tmp_path: Path) -> None:
    code = """
from raynb.runtime.adapters.daemon_process import DaemonProcess
print(DaemonProcess().pid)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    wait_until(lambda: not group_of(int(done.stdout)))


def group_of(leader: int) -> list[int]:
    """Processes of this group."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == leader and is_alive(int(entry.name)):
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def test_who_attaches_reads_what_the_starter_was_told(tmp_path: Path) -> None:
    temp_dir = Path("/tmp") / f"raynb-test-{os.urandom(4).hex()}"
    temp_dir.mkdir(0o700)
    chosen = options(tmp_path)
    chosen.temp_dir, chosen.num_cpus = str(temp_dir), 1
    chosen.config = type(chosen.config)(inline_limit_bytes=12345)
    (tmp_path / "registry").mkdir(0o700)
    info = launch_cluster(chosen, python=sys.executable)
    try:
        session = Path(info.session_dir)
        assert read_cluster_info(session) == info
        assert info.config.inline_limit_bytes == 12345
        assert stat.S_IMODE((session / "config").stat().st_mode) == 0o600
    finally:
        os.kill(info.pid, 15)
        wait_until(lambda: not is_alive(info.pid))
    with pytest.raises(FileNotFoundError):
        read_cluster_info(session)
    for folder in (temp_dir / f"raynb-{os.geteuid()}", temp_dir):
        folder.rmdir()
