"""Ctrl-C that waits until something is done, under the name of ``ray._private.utils.DeferSigint``."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, TracebackType
from typing import Any


class DeferSigint(AbstractContextManager["DeferSigint"]):
    """While it is entered, SIGINT is noted only; the handler gets it at the end, unless that is an exception.

    A handler that is set meanwhile is the one that holds afterwards. For the main thread alone.
    """

    def __init__(self) -> None:
        self.signal_received = False
        self._handler: Any = None
        self._set: Any = None

    @classmethod
    def create_if_main_thread(cls) -> AbstractContextManager[Any]:
        """One for the main thread, and for any other thread one that does nothing: signals go to the main thread."""
        return cls() if threading.current_thread() is threading.main_thread() else nullcontext()

    def __enter__(self) -> DeferSigint:
        self._set = signal.signal
        self._handler = self._set(signal.SIGINT, self._note)
        setattr(signal, "signal", self._set_later)  # noqa: B010 - its type is a builtin's
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        setattr(signal, "signal", self._set)  # noqa: B010
        self._set(signal.SIGINT, self._handler)
        if self.signal_received and kind is None and callable(self._handler):
            self._handler(signal.SIGINT, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_received = True

    def _set_later(self, number: int, handler: Any) -> Any:
        if number != signal.SIGINT:
            return self._set(number, handler)
        before, self._handler = self._handler, handler
        return before
