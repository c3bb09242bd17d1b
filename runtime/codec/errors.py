"""What goes wrong when values become bytes, or bytes values."""

from __future__ import annotations


class SerializationError(TypeError):
    """A value can't be pickled. The message names the variable and the path to the culprit inside it."""


class CorruptObjectError(RuntimeError):
    """A place in shared memory does not hold the object that was looked for there, or not all of it."""
