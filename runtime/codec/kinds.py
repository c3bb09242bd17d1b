"""What kind of value something is, in a few words: asked of a large one when it is stored, and read off a small one's
pickle when somebody looks, so that a task pays nothing for it.

Nothing is unpickled here and no code of the user's runs: whoever asks may be an I/O thread.
"""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from typing import Any

from raynb.runtime.codec.values import PICKLE
from raynb.runtime.messages.values import Inline, ValueKind

DIMENSIONS_MAX = 32
NAME_CHARS_MAX = 120

_LENGTHS = (list, tuple, dict, set, frozenset, str, bytes, bytearray)


def kind_of(value: Any) -> ValueKind:
    """The kind of a value at hand."""
    kind = type(value)
    if kind in _LENGTHS:
        return ValueKind(kind.__name__, (len(value),))
    try:
        shape = _shape(getattr(value, "shape", None))
        dtype = str(getattr(value, "dtype", ""))[:NAME_CHARS_MAX] if shape is not None else ""
    except Exception:  # an attribute of somebody else's class may do anything
        shape, dtype = None, ""
    return ValueKind(_type_name(kind)[:NAME_CHARS_MAX], shape, dtype)


def _shape(given: Any) -> tuple[int, ...] | None:
    if not isinstance(given, tuple) or len(given) > DIMENSIONS_MAX:
        return None
    return tuple(int(length) for length in given)


def _type_name(kind: type) -> str:
    """With its package, as people import it: ``pandas.DataFrame``, not ``pandas.core.frame.DataFrame``."""
    module, name = kind.__module__, kind.__qualname__
    if module in ("builtins", "__main__"):
        return name
    package = module.partition(".")[0]
    exported = vars(sys.modules[package]).get(name) if package in sys.modules else None
    return f"{package if exported is kind else module}.{name}"


def kind_of_packed(value: Inline) -> ValueKind | None:
    """The kind of a small value, from its bytes; None where they don't say."""
    data = value.data
    with suppress(Exception):
        if data[0] == PICKLE:
            return _kind_of_pickle(data)
        if data[:1] == b"A":
            dtype, shape, _ = pickle.loads(memoryview(data)[1:])  # an `ArrayHead`: written by this package
            return ValueKind("numpy.ndarray", shape, _dtype_name(dtype))
        if data[:1] in (b"B", b"S") and value.buffers:
            return ValueKind("bytes" if data[:1] == b"B" else "str", (len(value.buffers[0]),))
    return None


def _dtype_name(text: str) -> str:
    numpy = sys.modules.get("numpy")
    return str(numpy.dtype(text)) if numpy is not None else text


_MEMOIZE, _FRAME, _SHORT_TEXT, _TEXT, _STACK_GLOBAL = 0x94, 0x95, 0x8C, ord("X"), 0x93
_FIXED = {
    ord("N"): (1, "NoneType"),
    0x88: (1, "bool"),
    0x89: (1, "bool"),
    ord("K"): (2, "int"),
    ord("M"): (3, "int"),
    ord("J"): (5, "int"),
    ord("G"): (9, "float"),
}
"""Opcode of a scalar -> its length with the opcode, its type."""
_CONTAINERS = {ord("]"): "list", ord("}"): "dict", ord(")"): "tuple", 0x8F: "set", 0x96: "bytearray"}
"""Opcodes that begin a container whose items follow."""
_CLOSINGS = {0x85: "tuple", 0x86: "tuple", 0x87: "tuple", ord("t"): "tuple", 0x91: "frozenset"}
"""Opcodes that make a container of the items before them; the memo follows."""


def _kind_of_pickle(data: bytes) -> ValueKind | None:
    at = 11 if data[2] == _FRAME else 2
    first, end = data[at], len(data) - 1
    length, scalar = _FIXED.get(first, (0, ""))
    if first == 0x8A:
        length, scalar = 2 + data[at + 1], "int"
    elif first in (ord("C"), ord("B")):
        count = data[at + 1] if first == ord("C") else int.from_bytes(data[at + 1 : at + 5], "little")
        if at + (2 if first == ord("C") else 5) + count + 1 == end:
            return ValueKind("bytes", (count,))
    if scalar and at + length == end:
        return ValueKind(scalar)
    text = ""
    if first in (_SHORT_TEXT, _TEXT):
        text, at = _text_at(data, at)
        if at == end:
            return ValueKind("str", (len(text),))
    if data[end - 1] == _MEMOIZE and (closing := _CLOSINGS.get(data[end - 2])):
        return ValueKind(closing)
    if text:
        return _class_named(text, data, at)
    kind = _CONTAINERS.get(first)
    return ValueKind(kind) if kind else None


def _class_named(text: str, data: bytes, at: int) -> ValueKind | None:
    """Of an object: its pickle begins with the names of its class's module and its class."""
    name, at = _text_at(data, at)
    if data[at] != _STACK_GLOBAL or data[at + 1 :] in (b".", b"\x94."):
        return None  # not of that class, but a class or a function itself
    kind = _public(text, name)
    return ValueKind(kind) if kind else None


def _text_at(data: bytes, at: int) -> tuple[str, int]:
    if data[at] == _SHORT_TEXT:
        begin, length = at + 2, data[at + 1]
    elif data[at] == _TEXT:
        begin, length = at + 5, int.from_bytes(data[at + 1 : at + 5], "little")
    else:
        raise ValueError("no text")
    end = begin + length
    return str(data[begin:end], "utf-8", "surrogatepass"), end + (data[end] == _MEMOIZE)


def _public(module: str, name: str) -> str:
    """Of a class, by the names in its pickle; empty for what makes a value and is not its class."""
    kind = getattr(sys.modules.get(module), name, None)
    if isinstance(kind, type):
        return _type_name(kind)
    # What is not imported here can only be judged by its name.
    return f"{module}.{name}" if kind is None and name[:1].isupper() else ""
