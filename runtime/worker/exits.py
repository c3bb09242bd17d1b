"""The orderly end of a worker: what its tasks have submitted is waited for, and what they have registered with `atexit`
runs, as in any program."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from raynb.runtime.messages.node import WorkerBlocked

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner


FAILED_S_MAX: Final = 60.0
"""For so long a process waits that ends by ``sys.exit``: those who wait for its task learn of the end only then."""
OWNED_S_MAX: Final = 5.0
"""For so long an actor that is to end waits for those who hold what it owns."""
LOOK_PATIENCE_S: Final = 10.0
EXIT_FUNCTIONS_S_MAX: Final = 5.0


def settle(runner: Runner, timeout_s: float | None = None) -> None:
    """Wait for the end of the tasks that it has submitted: they would end with it.

    Where it was asked to go, and did not end itself, those who still hold what it owns are waited for, too. Meanwhile
    its CPUs are free, or what it waits for might never get any. Ray's rule, see CoreWorker::Exit.
    """
    machine, host, manager = runner.client.machine, runner.client.host, runner.client.node_manager
    asked = runner.machine.exiting

    def needed() -> bool:
        return machine.needed if asked else bool(machine.unfinished)

    def look() -> bool:
        host.read_inbox(time.monotonic())  # what was called just now counts
        if busy := needed():
            host.transport.send(manager, WorkerBlocked())
        return busy

    if asked and runner.machine.is_actor:
        timeout_s = OWNED_S_MAX
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if host.run(look, LOOK_PATIENCE_S):
        while needed() and host.alive and (deadline is None or time.monotonic() < deadline):
            host.drive(lambda: not needed(), deadline, insist=True)
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
    _leave_unexpected(runner, FAILED_S_MAX)
    os._exit(code)


def die_of_sigterm(runner: Runner) -> NoReturn:
    """The end of a process that was sent SIGTERM, and has let its calls end first: it did not mean to."""
    _leave_unexpected(runner, OWNED_S_MAX)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)
    os._exit(1)


def _leave_unexpected(runner: Runner, timeout_s: float) -> None:
    """Without a goodbye: it is the end of the process that is told."""
    runner.flush()
    settle(runner, timeout_s)
    runner.client.stop()
    sys.stdout.flush()
    sys.stderr.flush()
