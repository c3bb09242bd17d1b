"""The two picklers: C's own for what is known to be harmless, cloudpickle's for everything else.

Functions and classes that the other side can't import (those of ``__main__``, of a notebook, of closures) go by value.
That is cloudpickle's work, and costs; so whoever packs decides by exact types whether it may be skipped.
"""

from __future__ import annotations

import copyreg
import importlib
import io
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, cast

import cloudpickle

from raynb.runtime.codec.arrays import assemble, dismantle, is_plain, loaded_array_type, loaded_scalar_types
from raynb.runtime.messages.task_error import PUBLIC_MODULE

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


def reduce_code(code: CodeType) -> tuple[Any, ...]:
    """What a pickler writes for a code object: all of it, the file's name too, which cloudpickle leaves out from 3.1.3
    on. Tracebacks name the cell and its line by it."""
    # New strings and tuples: shared ones would make the pickle depend on what else is in it.
    return CodeType, (
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_nlocals, code.co_stacksize,
        code.co_flags, code.co_code, code.co_consts, tuple([*code.co_names]), tuple([*code.co_varnames]),
        code.co_filename, "".join([*code.co_name]), code.co_qualname, code.co_firstlineno, code.co_linetable,
        code.co_exceptiontable, tuple([*code.co_freevars]), tuple([*code.co_cellvars]),
    )  # fmt: skip


_reducers: dict[type, Callable[[Any], Any]] = {CodeType: reduce_code}
"""Both picklers' own, in front of those of ``copyreg`` and cloudpickle."""
_plain_table: ChainMap[Any, Any] = ChainMap(_reducers, copyreg.dispatch_table)
_by_value_table: ChainMap[Any, Any] = ChainMap(_reducers, cast(Any, cloudpickle.Pickler.dispatch_table))


class PlainPickler(pickle.Pickler):
    """For values of safe types and arrays."""

    dispatch_table = _plain_table


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """For any value."""

    dispatch_table = _by_value_table

    def __init__(self, file: Any, protocol: int, buffer_callback: Any = None) -> None:
        pickle.Pickler.__init__(self, file, protocol, buffer_callback=buffer_callback)
        # cloudpickle's own, which its reducers use; its __init__ takes longer than small pickles.
        self.globals_ref: dict[int, dict[str, Any]] = {}
        self.proto = protocol

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is FunctionType:
            return NotImplemented if is_importable(obj) else self._function_reduce(obj)
        if kind is not type and not issubclass(kind, type):
            return NotImplemented
        return NotImplemented if is_importable(obj) else super().reducer_override(obj)


def is_importable(obj: Any) -> bool:
    """Whether a function or class is surely one that goes by reference: cloudpickle's test, for the common case."""
    module = getattr(obj, "__module__", None)
    if module == "__main__" or type(module) is not str:
        return False
    if module == PUBLIC_MODULE:
        importlib.import_module(module)  # what makes an error need not have asked for it by its public name
    found = getattr(sys.modules.get(module), getattr(obj, "__qualname__", ""), None)
    return found is obj and not cloudpickle.list_registry_pickle_by_value()


def reduce_scalar(scalar: Any) -> tuple[Any, ...]:
    """What a pickler writes for one of numpy's scalars that a Python number has room for."""
    return type(scalar), (scalar.item(),)


def know_numpy() -> tuple[type | None, list[type]]:
    """Give arrays and scalars their short form if numpy is there by now.

    Returns
    -------
    array_type, scalar_types
        ``numpy.ndarray``, or None; and the types of scalars that have a short form.
    """
    array_type = loaded_array_type()
    if array_type is None:
        return None, []
    scalar_types = loaded_scalar_types()
    _reducers[array_type] = reduce_array
    _reducers.update(dict.fromkeys(scalar_types, reduce_scalar))
    return array_type, scalar_types


_dump = pickle.Pickler.dump
"""cloudpickle's wraps it only in order to reword an error."""


def dump(pickler: type[PlainPickler] | type[ByValuePickler], value: object) -> tuple[bytes, list[memoryview]]:
    """Pickle ``value`` with its large buffers beside it."""
    buffers: list[pickle.PickleBuffer] = []
    out = io.BytesIO()
    _dump(pickler(out, PROTOCOL, buffer_callback=buffers.append), value)
    return out.getvalue(), [flat(buffer) for buffer in buffers]


def flat(buffer: pickle.PickleBuffer) -> memoryview:
    """The bytes of a buffer, in a row; one that isn't contiguous is copied together."""
    try:
        return buffer.raw()
    except BufferError:
        return memoryview(memoryview(buffer).tobytes())
