"""Start another daemon of ours: as a copy of this process while that is still possible, later as a fresh interpreter.

At its start a node manager has one thread and holds nothing yet but modules that all daemons import. A copy of it has
them already, which halves the time until a cluster is there, and the memory of an idle one. What is started again
later (after a kill, say) gets an interpreter of its own, because by then there are threads and sockets.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence

from raynb.runtime.adapters.processes import Process, fork, spawn
from raynb.runtime.adapters.title import set_title


def start_daemon(module: str, args: Sequence[str], *, stdin: int, log: int, title: str, copy: bool) -> Process:
    """Run ``module``'s ``main()`` in a process of its own, which dies with this thread.

    Parameters
    ----------
    args
        What it finds in ``sys.argv[1:]``.
    stdin, log
        Descriptors: its input; its output and errors.
    title
        What ``ps`` shows for a copy; a fresh interpreter shows its command line.
    copy
        As a copy of this process.

    Raises
    ------
    OSError
        It could not be started.
    """
    if not copy:
        return spawn([sys.executable, "-P", "-m", module, *args], stdin=stdin, log=log)
    if threading.active_count() > 1:
        raise RuntimeError("a process with threads can't be copied safely")

    def run() -> None:
        set_title(title)
        sys.argv[:] = [module, *args]
        importlib.import_module(module).main()

    return fork(run, stdin=stdin, log=log)
