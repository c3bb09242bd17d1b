"""What goes wrong when values become bytes, or bytes values."""

from __future__ import annotations

from types import FrameType


class SerializationError(TypeError):
    """A value can't be pickled. The message names the variable and the path to the culprit inside it."""


class UnknownOwnerError(ValueError):
    """A reference is of an earlier connection."""


class UnknownOwnerInsideError(SerializationError, UnknownOwnerError):
    """A value can't be pickled, for there is such a reference in it."""


def could_not(explanation: str, error: Exception) -> SerializationError:
    """The error that says so in Ray's words; ``error`` is what the pickler has met."""
    kind = UnknownOwnerInsideError if isinstance(error, UnknownOwnerError) else SerializationError
    return kind(f"Could not serialize the {explanation.removeprefix('the ')}")


def cause_of(error: Exception) -> Exception | None:
    """What made a pickle fail, as its reader needs it.

    Returns
    -------
    Exception or None
        With the frames of the user's own code (a ``__getstate__``, say); None where it was the pickler that gave up,
        which the message says better than its frames.
    """
    frames = error.__traceback__
    while frames is not None and _is_machinery(frames.tb_frame):
        frames = frames.tb_next
    return None if frames is None else error.with_traceback(frames)


def _is_machinery(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in ("raynb", "cloudpickle", "pickle")


class CorruptObjectError(RuntimeError):
    """A place in shared memory does not hold the object that was looked for there, or not all of it."""
