"""Where what tasks write goes in a driver: to its notebook or its terminal; and errors that nobody asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from raynb.runtime.api.last_words import Heard
from raynb.runtime.api.terminal import Terminal
from raynb.runtime.client.failure_news import UNHANDLED, text_of, unhandled
from raynb.runtime.client.log_records import LoggingConfig, follow, show_own
from raynb.runtime.core.client_effects import Retried, Unhandled
from raynb.runtime.messages.ids import TASK_ID_BYTES
from raynb.runtime.messages.tasks import LastWords, OutputLine, TaskOutput

#: Set by the kernel extension: gets the output of tasks instead of this process's own streams.
sink: Callable[[list[OutputLine], int], None] | None = None

#: Get the output of tasks beside whoever shows it.
listeners: set[Callable[[list[OutputLine]], None]] = set()

#: Set by the kernel extension: a traceback as people read it, with cells in the place of files.
with_cells: Callable[[str], str] = str

#: Gets the errors that nobody has asked for, instead of the person.
on_unhandled: Callable[[Exception], None] | None = None

_terminal = Terminal({})
_heard = Heard()
_silent = threading.Event()
"""What tasks print is not shown here: the last `init` said so."""


ENCODING: Final = "RAY_LOGGING_CONFIG_ENCODING"
"""Ray's own name for the environment variable: how records are written if `init` does not say."""
TO_DRIVER: Final = "RAY_LOG_TO_DRIVER"
"""The same: whether what tasks print is shown here."""


def begin(
    log_to_driver: bool | None, logging_config: LoggingConfig | None = None, own: Mapping[str, Any] | None = None
) -> None:
    """A connection is about to be made.

    Parameters
    ----------
    own
        Maybe with ``logging_level`` and ``logging_format`` of the library's own loggers, and ``configure_logging``.
        A `LoggingConfig` is for them, too.

    Raises
    ------
    ValueError
        A variable says nothing that makes sense (`Terminal`).
    TypeError
        The second is no `LoggingConfig`.
    """
    global _terminal
    if not isinstance(logging_config, LoggingConfig | None):
        raise TypeError(f"logging_config must be a LoggingConfig, not {logging_config!r}")
    if logging_config is None and (encoding := os.environ.get(ENCODING)):
        logging_config = LoggingConfig(encoding)
    if own is None or logging_config is not None or not own.get("configure_logging", True):
        own = {}
    show_own(own.get("logging_level"), own.get("logging_format"))
    follow("" if logging_config is None else logging_config.encoded())
    _terminal = Terminal(prefixed=logging_config is None)
    if log_to_driver is None:
        log_to_driver = os.environ.get(TO_DRIVER, "1").lower() in ("1", "true")
    (_silent.clear if log_to_driver else _silent.set)()


def hear(sender: str, message: TaskOutput | LastWords) -> None:
    """Show what a worker has sent, or what it has left in its logs."""
    if isinstance(message, TaskOutput):
        _show(_heard.lines(sender, message), message.dropped)
    else:
        _show(_heard.last_lines(message), 0)


def _show(lines: list[OutputLine], dropped: int) -> None:
    for listener in tuple(listeners):
        listener(lines)
    if not _silent.is_set():
        (sink or print_output)(lines, dropped)


def print_output(lines: list[OutputLine], dropped: int) -> None:
    """Show it in a terminal."""
    _terminal.take(lines, dropped)


def show_failure(found: Retried | Unhandled) -> None:
    """Show that a task is tried again, or the error of one that nobody has looked at, where it was submitted."""
    if on_unhandled is not None and isinstance(found, Unhandled):
        if (error := unhandled(found)) is not None:
            on_unhandled(error)
    elif text := text_of(found):
        _say(text, found.cell, found.name)


def say_unhandled(error: Exception) -> None:
    """Show an error that nobody has looked at."""
    _say(f"{UNHANDLED}{error}")


def _say(text: str, cell: str = "", name: str = "") -> None:
    text = with_cells(text)
    if sink is not None:
        sink([OutputLine(cell, bytes(TASK_ID_BYTES), name, os.getpid(), "stderr", f"{text}\n")], 0)
    else:
        print(text, file=sys.stderr)


def settle() -> None:
    """The connection has ended: show what is held back."""
    _terminal.settle()
