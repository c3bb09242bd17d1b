"""Arrays inside values: they arrive as read-only views of shared memory, which stays taken while they live."""

from __future__ import annotations

import copy
import gc
import sys
import types
from collections.abc import Collection
from typing import Any

SEARCH_MAX = 100_000
"""Of an object with more parts than these it isn't asked any more whether an array is among them: it is copied."""

_PLAIN = {bool, bytes, complex, float, int, str, type(None)}
_ARRAYS = {("numpy", "ndarray"), ("pandas", "DataFrame"), ("pandas", "Series")}
_SCALAR_MODULES = {"datetime", "decimal", "fractions", "numpy", "pathlib", "uuid"}
_NO_DATA = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


def make_writable(namespace: dict[str, Any], names: Collection[str]) -> None:
    """Replace the values of these names by copies that can be changed in place.

    Only what holds a read-only array is copied: everything else arrives as an object of one's own, and stays the
    same object under all its names. The names of what is copied share the copy, too.
    """
    memo: dict[int, Any] = {}
    for name in sorted(names):
        if name in namespace and holds_read_only(namespace[name]):
            copy.deepcopy(namespace[name], memo)
    for name, value in namespace.items():
        if id(value) in memo:
            namespace[name] = memo[id(value)]


def holds_read_only(value: object) -> bool:
    """Whether an array that can't be written to is among the parts of a value."""
    todo, seen = [value], {id(value)}
    while todo:
        part = todo.pop()
        if _is_read_only(part):
            return True
        for inner in gc.get_referents(part):
            if type(inner) in _PLAIN or isinstance(inner, _NO_DATA) or id(inner) in seen:
                continue
            if len(seen) > SEARCH_MAX:
                return True
            seen.add(id(inner))
            todo.append(inner)
    return False


def _is_read_only(value: Any) -> bool:
    if isinstance(value, memoryview):
        return bool(value.readonly)
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray) and not value.flags.writeable


def is_data(value: object) -> bool:
    """Whether a value surely holds no code of the notebook's, and so doesn't need the namespace that it was made in."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if kind in _PLAIN or kind is range:
        return True
    if isinstance(value, list | tuple | set | frozenset | dict):
        builtin = kind.__module__ == "builtins"
        return builtin and all(map(is_data, [*value, *value.values()] if isinstance(value, dict) else value))
    if (package, kind.__name__) in _ARRAYS:
        return not _has_objects(value)
    return package in _SCALAR_MODULES and not callable(value) and not hasattr(value, "__dict__")


def _has_objects(array: Any) -> bool:
    dtypes = array.dtypes if hasattr(array, "columns") else [array.dtype]
    return any(dtype.hasobject for dtype in dtypes if hasattr(dtype, "hasobject"))
