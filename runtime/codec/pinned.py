"""Views of memory at an address whose lifetime holds something else.

The memory of a stored object may be used again when the last array that views it is gone. So each object's memory gets
one *base*, which holds the pins; whatever is made from it (slices, numpy arrays, Arrow buffers) keeps the base alive,
and the reference count lets go of the pins the moment the last of them dies. ctypes objects do this without numpy or
pyarrow.
"""

from __future__ import annotations

import ctypes
from typing import Any


def _base_type(size_bits: int) -> Any:
    # Types of arrays are made anew for each length and cost 20 us; so there is one for each power of two, and the view
    # is cut to length. Nothing beyond the cut is ever touched.
    return type(f"Base{size_bits}", (ctypes.c_ubyte * (1 << size_bits),), {"pins": None})


_base_types: dict[int, Any] = {}


def pinned_view(address: int, size: int, *pins: object) -> memoryview:
    """A read-only view of ``size`` bytes at ``address``.

    Parameters
    ----------
    address, size
        The caller vouches that the memory is mapped as long as ``pins`` live.
    *pins
        Live as long as the view, or anything that was made from it.
    """
    bits = size.bit_length()
    base_type = _base_types.get(bits)
    if base_type is None:
        base_type = _base_types.setdefault(bits, _base_type(bits))
    base = base_type.from_address(address)
    base.pins = pins
    return memoryview(base).cast("B")[:size].toreadonly()


class _PyBuffer(ctypes.Structure):
    """``Py_buffer`` of CPython's stable C interface."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int)
_get_buffer.restype = ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_PyBuffer),)
_release_buffer.restype = None


def address_of(buffer: Any) -> int:
    """Where the bytes of a contiguous buffer lie; true as long as the caller keeps the buffer."""
    info = _PyBuffer()
    _get_buffer(buffer, info, 0)
    address = info.buf or 0
    _release_buffer(info)
    return address
