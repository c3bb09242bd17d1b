"""What can be read of a packed value without unpickling it.

A pickle's opcodes are looked at, none is carried out: what isn't one of the few that this package itself writes for an
array's head or for bytes ends the reading.
"""

from __future__ import annotations

import pickletools
from collections.abc import Sequence
from typing import Any

from raynb.runtime.codec.arrays import ArrayHead

_VALUES = frozenset(
    ("SHORT_BINUNICODE", "BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINBYTES", "BINBYTES")
)
_TRUTHS = {"NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = frozenset(("PROTO", "FRAME", "MEMOIZE"))
OPCODES_MAX = 200


def plain_value(data: bytes) -> Any:
    """What a pickle of tuples, numbers, text and bytes stands for.

    Raises
    ------
    ValueError
        There is something else in it.
    """
    stack: list[Any] = []
    marks: list[int] = []
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if count > OPCODES_MAX:
            break
        if name == "STOP" and len(stack) == 1:
            return stack[0]
        if name in _VALUES:
            stack.append(argument)
        elif name in _TRUTHS:
            stack.append(_TRUTHS[name])
        elif name == "MARK":
            marks.append(len(stack))
        elif (name == "TUPLE" and marks) or name in _TUPLES:
            at = marks.pop() if name == "TUPLE" else len(stack) - _TUPLES[name]
            stack[at:] = [tuple(stack[at:])]
        elif name not in _NOTHING:
            break
    raise ValueError("it is more than numbers, text and bytes")


def array_head(data: bytes | memoryview) -> ArrayHead | None:
    """The head of a plain array, from a packed value's ``data``; None where it is something else.

    Raises
    ------
    ValueError
        It says that it is an array, and is none.
    """
    if data[:1] != b"A":
        return None
    head = plain_value(bytes(data[1:]))
    if not (isinstance(head, tuple) and len(head) == 3):
        raise ValueError("an array's head has three parts")
    dtype, shape, fortran = head
    lengths = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    if not (isinstance(dtype, str) and lengths and isinstance(fortran, bool)):
        raise ValueError("an array's head has a dtype, a shape and an order")
    return dtype, shape, fortran


def is_text(data: bytes | memoryview) -> str:
    """``str`` or ``bytes`` where a packed value is nothing but its one buffer; else empty."""
    return {b"S": "str", b"B": "bytes"}.get(bytes(data[:1]), "")


def result_bytes(data: bytes, buffers: Sequence[bytes] | None) -> bytes:
    """A packed ``bytes``; `ValueError` if it is something else."""
    if is_text(data) == "bytes" and buffers:
        return bytes(buffers[0])
    found = plain_value(data)
    if not isinstance(found, bytes):
        raise ValueError("bytes were expected")
    return found
