"""The end of a worker that its own task has asked for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner


def exit_process(runner: Runner, error: SystemExit) -> NoReturn:
    """A task that exits takes its process with it, as anywhere; results of earlier tasks are not lost."""
    code = error.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    runner.flush()
    runner.client.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
