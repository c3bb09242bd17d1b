"""The orderly end of a worker: what its tasks have registered with `atexit` runs, as in any program."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner


EXIT_FUNCTIONS_S_MAX: Final = 5.0


def run_exit_functions() -> None:
    """Run them, for so long at most: a process that does not end would keep what it holds."""
    watch = threading.Timer(EXIT_FUNCTIONS_S_MAX, os._exit, (1,))
    watch.daemon = True
    watch.start()
    atexit._run_exitfuncs()
    watch.cancel()


def exit_process(runner: Runner, error: SystemExit) -> NoReturn:
    """A task that exits takes its process with it, as anywhere; results of earlier tasks are not lost."""
    code = error.code
    if code is None:
        code = int(runner.machine.is_actor)  # Ray's rule: only an actor that says 0 means to end
    elif not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    runner.flush()
    run_exit_functions()
    runner.client.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
