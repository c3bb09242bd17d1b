"""What the magics ask of a value: is it a reference, a handle, something that can't change?

Types of libraries are recognized by where they come from, so that nothing is imported for the question.
"""

from __future__ import annotations

import types
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from typing import Any

from raynb.magics.plan import ValueKind
from raynb.runtime.api.actors import ActorClass, ActorHandle, ActorMethod
from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.client.refs import ObjectRef

_FROZEN: tuple[type, ...] = (
    bool, bytes, complex, float, frozenset, int, range, slice, str, tuple, type(None),
    type(Ellipsis), type(NotImplemented),
)  # fmt: skip
_CONTAINERS: tuple[type, ...] = (
    list, dict, set, bytearray, deque, defaultdict, OrderedDict, Counter, ChainMap, memoryview,
)  # fmt: skip
_DEFINITIONS = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.GenericAlias,
)
_TABLE_PACKAGES = {"numpy", "pandas", "polars", "pyarrow", "scipy", "xarray", "torch", "jax"}
_STATEFUL = {"Generator", "RandomState", "BitGenerator"}  # numpy's, which change in every call


class RefList(list[Any]):
    """The references of an output of a mapped cell, one for each item.

    In a later task cell it arrives as the list of values. Anywhere else it is a list.
    """

    __slots__ = ()


def is_ref(value: object) -> bool:
    """Whether a value is a reference to an object."""
    return isinstance(value, ObjectRef)


def is_handle(value: object) -> bool:
    """Whether a value is a remote function, an actor class, an actor or a method of one."""
    return isinstance(value, RemoteFunction | ActorClass | ActorHandle | ActorMethod)


def kind_of(value: object) -> ValueKind:
    """How much is known of a value without looking into it."""
    if is_ref(value):
        return ValueKind.REF
    if isinstance(value, RefList):
        return ValueKind.REFS
    if isinstance(value, types.ModuleType):
        return ValueKind.MODULE
    if is_handle(value):
        return ValueKind.HANDLE
    if isinstance(value, _DEFINITIONS):
        return ValueKind.DEFINITION
    if type(value) in _FROZEN:
        return ValueKind.FROZEN
    if type(value) in _CONTAINERS or _is_table(type(value)):
        return ValueKind.CONTAINER
    return ValueKind.OBJECT


def _is_table(kind: type) -> bool:
    package = kind.__module__.partition(".")[0]
    return package in _TABLE_PACKAGES and kind.__name__ not in _STATEFUL
