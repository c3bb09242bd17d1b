"""numpy arrays as a few words and a buffer: numpy's own reduction costs five times as much.

numpy is never imported in order to pack: whoever has an array has imported it. Arrays come back read-only, whether
they were small or large, so that a program does not work with small ones only.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

ArrayHead = tuple[str, tuple[int, ...], bool]
"""dtype as text, shape, whether in Fortran's order."""

ALIGNMENT_BYTES = 64
ALIGNED_FROM_BYTES = 2048

_OBJECT, _VOID, _DATETIME, _TIMEDELTA, _LAST_BUILTIN = 17, 20, 21, 22, 23


def loaded_array_type() -> type | None:
    """``numpy.ndarray`` if the process has imported numpy, else None."""
    return getattr(sys.modules.get("numpy"), "ndarray", None)


def loaded_scalar_types() -> list[type]:
    """The types of numpy's scalars that are exactly a Python ``bool``, ``int``, ``float`` or ``complex``."""
    numpy = sys.modules["numpy"]
    return [numpy.dtype(code).type for code in "?bhilqBHILQefdFD"]


def is_plain(array: Any) -> bool:
    """Whether an exact ``ndarray`` is nothing but its dtype's text, its shape and its bytes.

    Not so for objects, records, new-style and user dtypes, and dtypes with metadata: numpy pickles those itself.
    """
    dtype = array.dtype
    number = dtype.num
    return bool(
        0 <= number <= _LAST_BUILTIN
        and number != _OBJECT
        and (number != _VOID or dtype.fields is None)
        and dtype.metadata is None
    )


def dismantle(array: Any) -> tuple[ArrayHead, memoryview]:
    """Take a plain array apart. What isn't contiguous is copied together once.

    Returns
    -------
    head, buffer
        The buffer is flat bytes, and keeps the array alive.
    """
    dtype = array.dtype
    flags = array.flags
    fortran = False
    if not flags.c_contiguous:
        if flags.f_contiguous:
            fortran = True
        else:
            array = array.copy("C")
    head = (dtype.str, array.shape, fortran)
    if dtype.num in (_DATETIME, _TIMEDELTA):
        # These export no buffer.
        array = array.view("i8")
    return head, pickle.PickleBuffer(array).raw()


def assemble(buffer: Any, dtype: str, shape: tuple[int, ...], fortran: bool) -> Any:
    """An array over ``buffer``; read-only if the buffer is.

    Without a copy, but where the buffer came in a message (``bytes``) and lies askew: vector instructions want
    multiples of `ALIGNMENT_BYTES`, as there are in shared memory.
    """
    import numpy

    order: Any = "F" if fortran else "C"
    array: Any = numpy.ndarray(shape, dtype, buffer, order=order)
    if type(buffer) is not bytes or len(buffer) < ALIGNED_FROM_BYTES or not _askew(array):
        return array
    place: Any = numpy.empty(len(buffer) + ALIGNMENT_BYTES, numpy.uint8)
    straight = numpy.ndarray(shape, dtype, place, -_askew(place) % ALIGNMENT_BYTES, order=order)
    straight[...] = array
    straight.flags.writeable = False
    return straight


def _askew(array: Any) -> int:
    return int(array.__array_interface__["data"][0] % ALIGNMENT_BYTES)
