"""The two picklers: C's own for what is known to be harmless, cloudpickle's for everything else.

Functions and classes that the other side can't import (those of ``__main__``, of a notebook, of closures) go by value.
That is cloudpickle's work, and costs; so whoever packs decides by exact types whether it may be skipped.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import ChainMap
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import cloudpickle

from raynb.runtime.codec.arrays import assemble, dismantle, is_plain, loaded_array_type

PROTOCOL = 5

SMALL_BUFFER_BYTES = 1024
"""A smaller array goes inside the pickle: cheaper than one more buffer to count and send."""


def reduce_array(array: Any) -> tuple[Any, ...] | str:
    """What a pickler writes for an exact ``ndarray``."""
    if not is_plain(array):
        return array.__reduce_ex__(PROTOCOL)  # type: ignore[no-any-return]
    (dtype, shape, fortran), buffer = dismantle(array)
    if buffer.nbytes < SMALL_BUFFER_BYTES:
        return assemble, (bytes(buffer), dtype, shape, fortran)
    return assemble, (pickle.PickleBuffer(buffer), dtype, shape, fortran)


_reducers: dict[type, Callable[[Any], Any]] = {}
"""Both picklers' own, in front of those of ``copyreg`` and cloudpickle."""
_plain_table: ChainMap[Any, Any] = ChainMap(_reducers, copyreg.dispatch_table)
_by_value_table: ChainMap[Any, Any] = ChainMap(_reducers, cast(Any, cloudpickle.Pickler.dispatch_table))


class PlainPickler(pickle.Pickler):
    """For values of safe types and arrays."""

    dispatch_table = _plain_table


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """For any value."""

    dispatch_table = _by_value_table

    def reducer_override(self, obj: Any) -> Any:
        if obj is assemble:
            # Spares cloudpickle's search for where it can be imported from.
            return NotImplemented
        if type(obj) is FunctionType:
            return self._function_reduce(obj)
        return super().reducer_override(obj)


def know_arrays() -> type | None:
    """Give arrays their short form if numpy is there by now. Returns ``numpy.ndarray``, or None."""
    array_type = loaded_array_type()
    if array_type is not None:
        _reducers[array_type] = reduce_array
    return array_type


def dump(pickler: type[PlainPickler] | type[ByValuePickler], value: object) -> tuple[bytes, list[memoryview]]:
    """Pickle ``value`` with its large buffers beside it."""
    buffers: list[pickle.PickleBuffer] = []
    out = io.BytesIO()
    pickler(out, PROTOCOL, buffer_callback=buffers.append).dump(value)
    return out.getvalue(), [flat(buffer) for buffer in buffers]


def flat(buffer: pickle.PickleBuffer) -> memoryview:
    """The bytes of a buffer, in a row; one that isn't contiguous is copied together."""
    try:
        return buffer.raw()
    except BufferError:
        return memoryview(memoryview(buffer).tobytes())
