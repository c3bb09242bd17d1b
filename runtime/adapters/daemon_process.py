"""The first half of starting a cluster: the daemon's process, which begins to load while its options are still unknown.

Imports nothing but the bare standard library, so that whoever connects may start the daemon first, import its own
half of the runtime meanwhile, and then say what is wanted (`raynb.runtime.adapters.launch`): the two take about as
long.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

MODULE = "raynb.runtime.daemons.node_manager"


class DaemonProcess:
    """A daemon that waits for its options, and ends if it gets none.

    Attributes
    ----------
    pid
        Of the process that was started, which leads a group; the daemon goes on in a child of it.
    options_fd
        Its standard input; -1 once closed.
    report_fd
        Its standard output: one report, then the end.
    early_log_fd
        What it says before it has a log file. In memory.

    Raises
    ------
    OSError
        The interpreter can't be started.
    """

    def __init__(self, python: str = "", env: Mapping[str, str] | None = None) -> None:
        python = python or sys.executable
        options_source, self.options_fd = os.pipe()
        self.report_fd, report_sink = os.pipe()
        self.early_log_fd = os.memfd_create("raynb-launch", os.MFD_CLOEXEC)
        try:
            self.pid = os.posix_spawn(
                python,
                # -P: the current folder must not shadow modules of the daemon's.
                [python, "-P", "-m", MODULE],
                os.environ if env is None else env,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, options_source, 0),
                    (os.POSIX_SPAWN_DUP2, report_sink, 1),
                    (os.POSIX_SPAWN_DUP2, self.early_log_fd, 2),
                ],
                # A Ctrl-C in the terminal is not for the daemon.
                setsid=True,
                # What this process ignores or holds back (a notebook's kernel does) the daemon must not.
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP],
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(options_source)
            os.close(report_sink)

    def __repr__(self) -> str:
        return f"<DaemonProcess {self.pid}>"

    def send_options(self, data: bytes) -> None:
        """Write its options, and nothing after them."""
        fd, self.options_fd = self.options_fd, -1
        # It may have ended already: its report, or the lack of one, says why.
        with suppress(BrokenPipeError), open(fd, "wb") as file:
            file.write(data)

    def release(self) -> None:
        """It runs; have nothing more to do with it."""
        with suppress(ChildProcessError):  # a handler of SIGCHLD was faster
            os.waitpid(self.pid, 0)
        self._close()

    def abandon(self) -> None:
        """End it and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.release()

    def _close(self) -> None:
        for fd in (self.options_fd, self.report_fd, self.early_log_fd):
            if fd >= 0:
                os.close(fd)
        self.options_fd = self.report_fd = self.early_log_fd = -1
