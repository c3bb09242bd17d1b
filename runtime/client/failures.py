"""Outcomes that are not values: from the wire to the exception that is raised, and from an exception to the wire."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from types import TracebackType

from raynb.runtime.codec.pickling import ByValuePickler, dump
from raynb.runtime.messages.errors import GetTimeoutError, RayTaskError, error_class
from raynb.runtime.messages.values import Failed


def to_exception(failed: Failed) -> Exception:
    """What ``get`` raises for a failed object; a new instance each time, for tracebacks are attached to it."""
    if failed.kind == "RayTaskError":
        if failed.cause:
            try:
                error = pickle.loads(failed.cause)
            except Exception as problem:
                return RayTaskError(
                    "a task", f"{failed.message}\n(the exception itself can't be unpickled here: {problem!r})"
                )
            if isinstance(error, Exception):
                return error
        return RayTaskError("a task", failed.message)
    return error_class(failed.kind)(failed.message)


def timed_out(late: Sequence[object], timeout_s: float | None) -> GetTimeoutError:
    """What ``get`` raises when these references have no value in time."""
    shown = ", ".join(map(repr, late[:3])) + (f" and {len(late) - 3} more" if len(late) > 3 else "")
    return GetTimeoutError(f"get timed out after {timeout_s} s: no value yet for {shown}")


def from_exception(error: BaseException, function_name: str, pid: int, skip_frames: int = 0) -> Failed:
    """The outcome of a task that raised.

    Parameters
    ----------
    skip_frames
        How many frames of the machinery stand between the traceback's beginning and the user's code.
    """
    text = format_remote(error, skip_frames)
    carried = RayTaskError(function_name, text, error, pid)
    try:
        blob = dump(ByValuePickler, carried)[0]
        pickle.loads(blob)
    except Exception as problem:
        # It can't be pickled, or not be made again from its pickle: its text and its type's name go instead.
        note = f"{text}\n(the exception could not be pickled: {type(problem).__name__}: {problem})"
        blob = dump(ByValuePickler, RayTaskError(function_name, note, None, pid))[0]
        text = note
    return Failed("RayTaskError", text, blob)


def format_remote(error: BaseException, skip_frames: int) -> str:
    """The traceback from the user's first frame on."""
    shown: TracebackType | None = error.__traceback__
    for _ in range(skip_frames):
        if shown is not None and shown.tb_next is not None:
            shown = shown.tb_next
    return "".join(traceback.format_exception(type(error), error, shown)).rstrip()
