"""Operating-system processes: started so that they can't outlive us, watched and signalled so that
no other is hit.

Three rules, each from a way in which it goes wrong otherwise:

* A child dies with its parent (``PR_SET_PDEATHSIG``). The kernel sends that signal when the
  parent's *thread* ends, so children are started from a living main thread; and it sends none if
  the parent was dead already, so the child compares ``getppid`` afterwards.
* A signal goes to a pidfd, never to a number: a number may belong to somebody else by now. The one
  exception is a process group, whose number stays taken as long as its leader has not been reaped;
  so the group is ended first.
* A node manager is a *subreaper*: what its descendants leave behind becomes its child and not
  init's, is ended with the node, and tells it an exit status. That is also why a forkserver may
  die without its workers (see there).

Linux only.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


def require_linux() -> None:
    """Raise `RuntimeError` with advice where the runtime can't run."""
    if not sys.platform.startswith("linux"):
        raise RuntimeError(
            f"raynb runs on Linux and in WSL 2; this is {sys.platform}. "
            "Use WSL, a container or a remote Linux machine with Jupyter."
        )


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Have the kernel send ``signum`` to this process when its parent's thread ends.

    Parameters
    ----------
    parent : int
        Pid that the parent had when it started us. If it is not our parent any more, it is dead:
        exit at once.
    """
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Orphaned descendants become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def raise_file_limit(files_max: int = 65536) -> None:
    """Allow this process, and what it starts, as many open files as the system lets it, up to ``files_max``.

    The usual 1,024 are too few for a node manager of some hundred workers, with sockets and a pidfd for each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files_max if hard == resource.RLIM_INFINITY else min(files_max, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ExitStatus:
    """How a process ended.

    Attributes
    ----------
    code
        Exit code, or None.
    signum
        The signal that killed it, or None.
    """

    __slots__ = ("code", "signum")

    def __init__(self, code: int | None = None, signum: int | None = None) -> None:
        self.code = code
        self.signum = signum

    def __str__(self) -> str:
        if self.signum is not None:
            try:
                return f"killed by {signal.Signals(self.signum).name}"
            except ValueError:
                return f"killed by signal {self.signum}"
        return "ended" if self.code is None else f"exit code {self.code}"

    __repr__ = __str__


class Process:
    """A process held by its pidfd. Made from a pid whose owner can't have been reaped yet, or
    raises.

    Parameters
    ----------
    pid : int
    is_child : bool
        Its exit status is ours to collect.
    leads_group : bool
        It leads a process group of its own, which ends with it.

    Raises
    ------
    ProcessLookupError
        There is no such process.
    """

    def __init__(self, pid: int, *, is_child: bool = True, leads_group: bool = False) -> None:
        self.pid = pid
        self.is_child = is_child
        self.leads_group = leads_group
        self.exit: ExitStatus | None = None
        self._fd = os.pidfd_open(pid)

    def __repr__(self) -> str:
        return f"<Process {self.pid} {self.exit or 'running'}>"

    def fileno(self) -> int:
        """The pidfd: readable once the process has ended."""
        return self._fd

    def signal(self, signum: int) -> bool:
        """Send a signal; False if it has ended."""
        if self.exit is not None:
            return False
        try:
            signal.pidfd_send_signal(self._fd, signum)
        except ProcessLookupError:
            return False
        return True

    def signal_group(self, signum: int) -> bool:
        """Send a signal to its whole group. Only as long as its exit has not been collected."""
        if self.exit is not None or not (self.is_child and self.leads_group):
            return self.signal(signum)
        # An uncollected child keeps its number, and the group's, even when it is dead.
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:
            # It has not come to its setsid yet.
            return self.signal(signum)
        return True

    def collect(self) -> ExitStatus | None:
        """Its exit, or None while it runs; ends what is left of its group. Never blocks;
        idempotent.
        """
        if self.exit is not None:
            return self.exit
        if not _readable(self._fd):
            return None
        if not self.is_child:
            self.exit = ExitStatus()
            return self.exit
        if self.leads_group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        try:
            result = os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:  # collected by somebody else: a subprocess.Popen, say
            self.exit = ExitStatus()
            return self.exit
        if result is None:
            return None
        if result.si_code == os.CLD_EXITED:
            self.exit = ExitStatus(code=result.si_status)
        else:
            self.exit = ExitStatus(signum=result.si_status)
        return self.exit

    def wait(self, timeout_s: float) -> ExitStatus | None:
        """Wait for its exit, at most so long."""
        if self.exit is None and self._fd >= 0:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            poll.poll(timeout_s * 1000)
        return self.collect()

    def close(self) -> None:
        """Let go of the descriptor; the process lives on. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _readable(fd: int) -> bool:
    if fd < 0:
        return False
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def spawn(
    argv: Sequence[str],
    *,
    stdin: int | _HasFileno = subprocess.DEVNULL,
    log: int | _HasFileno = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    on_fork: Callable[[], None] | None = None,
) -> Process:
    """Start a program that dies with us, as the leader of a session of its own. Call it from the
    main thread.

    Parameters
    ----------
    argv
        Program and arguments; no secrets, everybody can read them.
    stdin, log
        Descriptor for its input; descriptor for its output and errors.
    on_fork
        Called in the child before the program starts.

    Raises
    ------
    OSError
        It could not be started.
    """
    parent = os.getpid()

    def in_child() -> None:
        die_with_parent(parent)
        if on_fork is not None:
            on_fork()

    child = subprocess.Popen(
        list(argv),
        stdin=_number(stdin),
        stdout=_number(log),
        stderr=_number(log),
        env=None if env is None else dict(env),
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        preexec_fn=in_child,
    )
    process = Process(child.pid, leads_group=True)
    # Its exit is collected through the pidfd; without a code Popen would try to wait for it too,
    # and warn.
    child.returncode = 0
    return process


def _number(file: int | _HasFileno) -> int:
    return file if isinstance(file, int) else file.fileno()


def fork(run: Callable[[], object], *, stdin: int | _HasFileno, log: int | _HasFileno) -> Process:
    """As `spawn`, but a copy of this process that calls ``run`` and ends: it need not import anew what is here already.

    Only in a process of one thread, and where nothing is open that the copy must not have: of this process's files it
    keeps its input and its log. Exit handlers of this process don't run in it.

    Raises
    ------
    OSError
        The system has no room for another process.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Process(pid, leads_group=True)
    code = 1
    try:
        os.setsid()
        die_with_parent(parent)
        for source, target in ((_number(stdin), 0), (_number(log), 1), (_number(log), 2)):
            os.dup2(source, target)
        os.closerange(3, 65536)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
        code = 0
    except SystemExit as exit_request:
        code = exit_request.code if isinstance(exit_request.code, int) else int(exit_request.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def children() -> list[int]:
    """Pids of this process's children, dead ones that were not collected included.

    None of them can be taken by somebody else before we have collected it.
    """
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError):
            found += map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
    return found


def reap_orphans(known: set[int]) -> int:
    """Collect adopted children that have ended, so that no zombies pile up. Returns how many.

    Parameters
    ----------
    known
        Pids that somebody else collects.
    """
    count = 0
    for pid in children():
        if pid in known:
            continue
        with suppress(ChildProcessError):
            count += os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    return count


def kill_children(timeout_s: float) -> int:
    """End every child that is left, adopted ones and what they leave behind too. Returns how many
    are still there.
    """
    deadline = time.monotonic() + timeout_s
    while left := children():
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
        if time.monotonic() > deadline:
            return len(left)
        time.sleep(0.002)
    return 0


def is_alive(pid: int, started: float | None = None) -> bool:
    """Whether a process runs (a zombie does not), optionally the one with this start time (see
    `start_time`).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    fields = text.rpartition(")")[2].split()
    return fields[0] not in "ZX" and (started is None or float(fields[19]) == started)


def is_stopped(pid: int) -> bool:
    """Whether the process table shows it as stopped (SIGSTOP; not as held by a debugger)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def start_time(pid: int) -> float:
    """When a process began, in clock ticks since boot: with its pid it names a process for good.

    Raises
    ------
    ProcessLookupError
        There is no such process.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        raise ProcessLookupError(pid) from None
    return float(text.rpartition(")")[2].split()[19])
