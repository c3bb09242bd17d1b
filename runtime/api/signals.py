"""What a driver does when it is asked to end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType


def end_orderly_on_sigterm() -> None:
    """Have SIGTERM end this process as `sys.exit` does, like Ray's ``init``: blocks are left, and what was registered
    to be done at the end is done, the connection's end among it.

    Nothing is changed where the program has said what SIGTERM does, or outside of the main thread.
    """
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _OfProcess(os.getpid()))


class _OfProcess:
    """The handler of one process: what it has forked dies of SIGTERM as before."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._pid:
            sys.exit(number)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
