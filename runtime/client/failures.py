"""Outcomes that are not values: from the wire to the exception that is raised, and from an exception to the wire."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raynb.runtime.codec.pickling import ByValuePickler, dump
from raynb.runtime.messages.errors import (
    GetTimeoutError,
    RayActorError,
    RayError,
    RayTaskError,
    UnserializableException,
    make_error,
)
from raynb.runtime.messages.values import Failed

NO_INPUT = "At least one of the input arguments for this task could not be computed:\n"
"""Before what became of an input."""

_MACHINERY = f"{Path(__file__).parents[1]}{os.sep}"
"""Where the code of `raynb.runtime` lies."""


def to_exception(failed: Failed) -> Exception:
    """What ``get`` raises for a failed object; a new instance each time, for tracebacks are attached to it."""
    if failed.cause and not failed.through:
        try:
            error = pickle.loads(failed.cause)
        except Exception as problem:
            return UnserializableException(f"{failed.message}\n({type(problem).__name__}: {problem})")
        if isinstance(error, Exception):
            return error
    if failed.kind == "RayTaskError":
        return RayTaskError("a task", failed.message)
    made = make_error(failed.kind, failed.message)
    if failed.actor and isinstance(made, RayActorError):
        made.say_whose(failed.actor.hex(), failed.constructor, failed.about)
    if failed.through:
        told = "".join(traceback.format_exception_only(made)).rstrip()
        text = f"{NO_INPUT}{told}"
        return RayTaskError(failed.through, text, made).as_instanceof_cause()
    return made


def timed_out(late: Sequence[object], timeout_s: float | None) -> GetTimeoutError:
    """What ``get`` raises when these references have no value in time."""
    shown = ", ".join(map(repr, late[:3])) + (f" and {len(late) - 3} more" if len(late) > 3 else "")
    return GetTimeoutError(
        f"Get timed out: some object(s) not ready. After {timeout_s} s there was no value yet for {shown}"
    )


def from_exception(
    error: BaseException, function_name: str, pid: int, actor_repr: str | None = None, actor_id: str | None = None
) -> Failed:
    """The outcome of a task that raised; an error of another task that it let through is told as its own.

    In the place of a cause that no pickle can carry there is a `RayError`, as in Ray: `UnserializableException`, if it
    can be pickled and not be made again.
    """
    text = format_remote(error)
    if isinstance(error, RayTaskError) and error.cause is not None:
        error = error.cause
    whose: dict[str, Any] = {"pid": pid, "actor_repr": actor_repr, "actor_id": actor_id}
    blob = None
    try:
        blob = dump(ByValuePickler, RayTaskError(function_name, text, error, **whose))[0]
        pickle.loads(blob)
    except Exception as problem:
        why = f"{type(problem).__name__}: {problem}"
        stand_in: RayError = (
            RayError(f"Exception {type(error)} isn't serializable: {why}\nOriginal exception details:\n{text}")
            if blob is None
            else UnserializableException(f"{text}\n({why})")
        )
        note = f"pickled: {why}" if blob is None else f"unpickled: {why}; its class needs a __reduce__ of its own"
        text += f"\n(the exception could not be {note})"
        blob = dump(ByValuePickler, RayTaskError(function_name, text, stand_in, **whose))[0]
    return Failed("RayTaskError", text, blob)


def format_remote(error: BaseException) -> str:
    """The traceback, with the frames of the user's code and of its libraries: those of the machinery that ran it, or
    that it called, tell nobody anything."""
    said = traceback.TracebackException.from_exception(error)
    _leave_out_machinery(said, set())
    return "".join(said.format()).rstrip()


def _leave_out_machinery(said: traceback.TracebackException, seen: set[int]) -> None:
    seen.add(id(said))
    users = [frame for frame in said.stack if not frame.filename.startswith(_MACHINERY)]
    if len(users) < len(said.stack):
        # Without a frame there is no line that says that frames follow.
        said.stack = traceback.StackSummary.from_list(users) if users else None  # type: ignore[assignment]
    for other in (said.__cause__, said.__context__, *(said.exceptions or ())):
        if other is not None and id(other) not in seen:
            _leave_out_machinery(other, seen)
