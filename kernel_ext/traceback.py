"""How the failure of a task is shown in a notebook: where the cell asked, then where the task failed - and no
machinery."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import Any

from raynb.magics.frames import place, remote_text
from raynb.runtime.client.refs import NotTheValue, NotTheValuesAttribute
from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.messages.errors import RayError, RayTaskError

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
RULE = "-" * 75


SHOWN_HERE = (RayError, SerializationError, NotTheValue, NotTheValuesAttribute, KeyboardInterrupt)
"""What `show_error` is for."""


def show_error(
    shell: Any, kind: type, error: BaseException, tb: TracebackType | None, tb_offset: int | None = None
) -> Any:
    """IPython's custom exception handler for `SHOWN_HERE`."""
    # As IPython does it for all others, for `%debug`.
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, tb
    if isinstance(error, RayTaskError):
        lines = formatted(shell, error, tb)
    else:
        users = without_machinery(tb)
        lines = shell.InteractiveTB.structured_traceback(kind, error, users, tb_offset=tb_offset if users is tb else 0)
    shell._showtraceback(kind, error, lines)
    return lines


def without_machinery(tb: TracebackType | None) -> TracebackType | None:
    """The traceback's frames that are the user's; all of it where there are none."""
    frames: list[TracebackType] = []
    step = tb
    while step is not None:
        if not _is_machinery(step.tb_frame.f_code.co_filename):
            frames.append(step)
        step = step.tb_next
    kept: TracebackType | None = None
    for each in reversed(frames):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept or tb


def formatted(shell: Any, error: RayTaskError, tb: TracebackType | None) -> list[str]:
    """The lines that are shown."""
    cause = error.cause
    kind = type(cause).__name__ if cause is not None else "RayTaskError"
    head = f"{kind:<40} in task {error.function_name} (pid={error.pid})"
    here = [frame for frame in traceback.extract_tb(tb) if not _is_machinery(frame.filename)]
    asked = [place(shell, frame.filename, frame.lineno or 0, f", in {frame.name}", frame.line) for frame in here[-3:]]
    text = remote_text(shell, error.traceback_str)
    return [RULE, head, *asked, "the task's own traceback:", text]


def _is_machinery(filename: str) -> bool:
    return (
        os.path.abspath(filename).startswith(_PACKAGE)
        or "/IPython/" in filename
        or f"{os.sep}raynb{os.sep}" in filename
    )
