"""Processes that can't outlive us, and signals that hit nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raynb.runtime.adapters import processes
from raynb.runtime.adapters.processes import ExitStatus, Process, is_alive, is_stopped, spawn, start_time
from tests.support.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Processes to be ended after the test."""
    found: list[Process] = []
    yield found
    for process in found:
        process.signal_group(signal.SIGKILL)
        process.wait(5)
        process.close()


def python(code: str, **options: object) -> Process:
    return spawn([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def ended(process: Process) -> ExitStatus:
    status = process.wait(10)
    assert status is not None, f"{process!r} did not end"
    process.close()
    return status


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("pass", "exit code 0"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "killed by signal 40"),
    ],
)
def test_an_exit_is_told_in_words(code: str, words: str) -> None:
    assert str(ended(python(code))) == words


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
import os, sys, time
from pathlib import Path
from raynb.runtime.adapters.processes import fork, spawn
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
null = os.open(os.devnull, os.O_RDWR)
children = [spawn(sleep), fork(lambda: time.sleep(60), stdin=null, log=null)]
Path({str(pids)!r} + "~").write_text(" ".join(str(child.pid) for child in children))
os.rename({str(pids)!r} + "~", {str(pids)!r})
time.sleep(60)
"""
    parent = python(code)
    wait_until(pids.exists)
    children = [int(pid) for pid in pids.read_text().split()]
    assert all(map(is_alive, children))
    parent.signal(signal.SIGKILL)
    ended(parent)
    wait_until(lambda: not any(map(is_alive, children)), what="the children died with it")


def test_a_child_whose_parent_is_gone_already_does_not_run(tmp_path: Path) -> None:
    """The kernel signals only parents that die later: getppid must be compared."""
    code = f"""
from pathlib import Path
from raynb.runtime.adapters.processes import die_with_parent
die_with_parent(1 << 22)
Path({str(tmp_path / "ran")!r}).touch()
"""
    assert ended(python(code)).code == 1
    assert not (tmp_path / "ran").exists()


def test_a_signal_after_the_end_hits_nobody() -> None:
    process = python("pass")
    ended(process)
    assert not process.signal(signal.SIGKILL)
    assert not process.signal_group(signal.SIGKILL)


def test_a_process_that_got_a_dead_ones_pid_is_not_hit(started: list[Process]) -> None:
    """The pid is forced to come again, by the counter that checkpoint tools use."""
    for _ in range(20):
        old = python("pass")
        assert old.wait(10) is not None
        try:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(old.pid - 1))
        except PermissionError:
            pytest.skip("only root may choose the next pid")
        heir = spawn(SLEEP)
        started.append(heir)
        if heir.pid == old.pid:
            break
    else:
        pytest.fail("the pid could not be made to come again")
    assert not old.signal(signal.SIGKILL)
    assert not old.signal_group(signal.SIGKILL)
    assert old.collect() == old.exit
    old.close()
    assert heir.collect() is None


def test_what_a_process_started_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"""
import subprocess, sys
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Path({str(pid_file)!r}).write_text(str(child.pid))
child.wait()
"""
    leader = python(code)
    grandchild = int(wait_until(lambda: pid_file.exists() and pid_file.read_text()))
    leader.signal(signal.SIGKILL)
    ended(leader)
    wait_until(lambda: not is_alive(grandchild), what="the grandchild ended with its group")


def test_no_more_than_the_named_process_is_watched() -> None:
    with pytest.raises(ProcessLookupError):
        Process(1 << 22)


def test_a_copy_of_this_process_runs_a_function_with_its_own_files(tmp_path: Path) -> None:
    """In an interpreter of its own: pytest's has threads and files enough."""
    code = f"""
import os, sys
from raynb.runtime.adapters.processes import fork
source, sink = os.pipe()
os.write(sink, b"hello"); os.close(sink)
log = os.open({str(tmp_path / "log")!r}, os.O_WRONLY | os.O_CREAT, 0o600)
secret = os.open(os.devnull, os.O_RDONLY); os.set_inheritable(secret, True)
def run():
    print(sys.stdin.read(), sorted(os.listdir("/proc/self/fd"))[:3], os.getsid(0) == os.getpid())
    sys.exit(7)
child = fork(run, stdin=source, log=log)
print(child.wait(10), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "exit code 7\n", done.stderr
    text = (tmp_path / "log").read_text()
    assert text.startswith("hello ['0', '1', '2'") and text.endswith("True\n")


def test_an_error_in_a_copy_goes_to_its_log_and_not_back_into_our_code(tmp_path: Path) -> None:
    code = f"""
import os
from raynb.runtime.adapters.processes import fork
log = os.open({str(tmp_path / "log")!r}, os.O_WRONLY | os.O_CREAT, 0o600)
child = fork(lambda: 1 / 0, stdin=os.open(os.devnull, os.O_RDONLY), log=log)
print(child.wait(10), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "exit code 1\n"
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


def test_an_orphan_becomes_the_subreapers_child_and_is_collected_or_ended() -> None:
    code = """
import os, time
from raynb.runtime.adapters.processes import become_subreaper, children, is_alive, kill_children, reap_orphans
def orphan(run):
    source, sink = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            os.close(source)
            run()
            os._exit(0)
        os.write(sink, str(pid).encode())
        os._exit(0)
    os.waitpid(between, 0)
    return int(os.read(source, 20))
become_subreaper()
short = orphan(lambda: None)
deadline = time.monotonic() + 10
while is_alive(short) and time.monotonic() < deadline:
    time.sleep(0.005)
assert short in children()
assert reap_orphans({short}) == 0, "somebody else collects it"
assert reap_orphans(set()) == 1
long = orphan(lambda: time.sleep(60))
assert reap_orphans(set()) == 0
assert long in children()
assert kill_children(5) == 0
assert not is_alive(long) and children() == []
print("good")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "good\n", done.stderr


def test_a_stopped_process_is_seen(started: list[Process]) -> None:
    process = spawn(SLEEP)
    started.append(process)
    assert not is_stopped(process.pid)
    process.signal(signal.SIGSTOP)
    wait_until(lambda: is_stopped(process.pid))
    assert is_alive(process.pid)
    process.signal(signal.SIGCONT)
    wait_until(lambda: not is_stopped(process.pid))


def test_a_start_time_tells_a_process_from_its_pids_next_owner(started: list[Process]) -> None:
    process = spawn(SLEEP)
    started.append(process)
    began = start_time(process.pid)
    assert is_alive(process.pid, began)
    assert not is_alive(process.pid, began - 1)
    with pytest.raises(ProcessLookupError):
        start_time(1 << 22)


def test_a_title_is_what_ps_shows_and_never_longer_than_its_room() -> None:
    code = """
import os, sys
from pathlib import Path
from raynb.runtime.adapters.title import set_title
room = len(Path("/proc/self/cmdline").read_bytes())
set_title("raynb worker w1 0123456789ab")
print(Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").decode(), Path("/proc/self/comm").read_text().strip())
set_title("x" * 10_000)
print(len(Path("/proc/self/cmdline").read_bytes()) <= room, os.environ["CANARY"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "padding" * 10],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "CANARY": "alive"},
    )
    assert done.stdout == "raynb worker w1 0123456789ab raynb-worker-w1\nTrue alive\n", done.stderr


def test_elsewhere_than_on_linux_one_is_told_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RuntimeError, match=r"Linux.*WSL"):
        processes.require_linux()
