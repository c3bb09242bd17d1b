"""The orderly end of a worker: what its tasks have started is waited for, and what they have registered with `atexit`
runs, as in any program. Neither for ever: the process would keep what it holds."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner


STARTED_S_MAX: Final = 3.0
EXIT_FUNCTIONS_S_MAX: Final = 5.0


def settle(runner: Runner) -> None:
    """What is left to do before it goes."""
    client = runner.client

    def busy() -> bool:
        client.host.read_inbox(time.monotonic())  # what was called just now counts
        return bool(client.machine.unfinished)

    # Whose submitter is gone does not run: what was just called would be lost.
    if client.host.run(busy, STARTED_S_MAX):
        client.host.drive(lambda: not client.machine.unfinished, time.monotonic() + STARTED_S_MAX, insist=True)
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
    settle(runner)
    runner.client.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
