"""Values as bytes and back.

A packed value is ``data`` and, beside it, the large ``buffers`` that it refers to: they are copied once, from where
they are to where they go. Four forms, told apart by the first byte of ``data``:

=====  ==============================================  =====================
byte   data                                            buffers
=====  ==============================================  =====================
0x80   a pickle of protocol 5                          its out-of-band ones
``A``  an array: pickle of `ArrayHead`                 its bytes
``B``  ``bytes``: nothing more                         itself
``S``  ``str``: nothing more                           its UTF-8
=====  ==============================================  =====================

What is made of scalars, short strings, plain arrays and registered `SAFE_TYPES` alone is written by C's pickler.
Everything else goes through cloudpickle's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pickle import dumps, loads
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from raynb.runtime.codec import pickling
from raynb.runtime.codec.arrays import assemble, dismantle, is_plain
from raynb.runtime.codec.culprit import explain
from raynb.runtime.codec.errors import cause_of, could_not
from raynb.runtime.codec.references import Found, collect_references
from raynb.runtime.messages.values import Inline, RefInfo

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

PLAIN_TYPES: frozenset[type] = frozenset({int, float, bool, type(None), str, bytes, complex})
"""Leaves that hold nothing else."""

SAFE_TYPES: set[type] = set(PLAIN_TYPES)
"""Leaves whose pickle never needs cloudpickle, whatever they hold. Types may be added: references and handles, say."""

SHALLOW_ITEMS_MAX = 100
"""Of longer containers not every item is looked at: cloudpickle's price is small beside theirs."""

LARGE_TEXT_BYTES = 64 * 1024
"""``bytes`` and ``str`` of this size or larger are not copied into a pickle."""

PICKLE, _ARRAY, _BYTES, _STR = 0x80, ord("A"), ord("B"), ord("S")
CONTAINERS = frozenset({tuple, list, dict})
_array_type: type | None = None


class Packed(Struct, gc=False):
    """A value as bytes.

    Attributes
    ----------
    data, buffers
        See this module. Buffers are views of the value's own memory, flat and contiguous; None if there are none.
    nbytes
        Size of all of it, in bytes.
    refs
        The references inside the value, or None.
    holders
        Keeps those references counted; may be dropped when the packer has counted them.
    """

    data: bytes
    buffers: list[memoryview] | None
    nbytes: int
    refs: list[RefInfo] | None = None
    holders: list[object] | None = None

    def inline(self) -> Inline:
        """As part of a message, with a copy of the buffers: what the value is now, whatever becomes of it."""
        buffers = self.buffers
        return Inline(self.data, None if buffers is None else [bytes(buffer) for buffer in buffers], self.refs)


def pack(value: object, name: str = "the value") -> Packed:
    """Pack a value.

    Parameters
    ----------
    value : object
        Anything.
    name : str
        What the error calls it: "argument 0", say.

    Raises
    ------
    SerializationError
        It can't be pickled; the message names the culprit.
    """
    kind = type(value)
    if kind in PLAIN_TYPES:
        if (kind is bytes or kind is str) and len(value) >= LARGE_TEXT_BYTES:  # type: ignore[arg-type]
            return _pack_text(value)
        data = dumps(value, 5)
        return Packed(data, None, len(data))
    if kind in CONTAINERS:
        if is_safe_container(value, PLAIN_TYPES):
            data = dumps(value, 5)
            return Packed(data, None, len(data))
    elif kind is array_type() and is_plain(value):
        head, buffer = dismantle(value)
        data = b"A" + dumps(head, 5)
        return Packed(data, [buffer], len(data) + buffer.nbytes)
    return pack_any(value, name)


def _pack_text(value: Any) -> Packed:
    if type(value) is str:
        data, buffer = b"S", memoryview(value.encode("utf-8", "surrogatepass"))
    else:
        data, buffer = b"B", memoryview(value)
    return Packed(data, [buffer], 1 + buffer.nbytes)


def array_type() -> type | None:
    """``numpy.ndarray`` once the process has imported numpy, else None."""
    global _array_type
    if _array_type is None:
        _array_type, scalar_types = pickling.know_numpy()
        SAFE_TYPES.update(scalar_types)
    return _array_type


def is_safe_container(value: Any, safe: frozenset[type] | set[type]) -> bool:
    """Whether a short tuple, list or dict holds leaves of types in ``safe`` only."""
    if len(value) > SHALLOW_ITEMS_MAX:
        return False
    if type(value) is dict:
        return safe.issuperset(map(type, value)) and safe.issuperset(map(type, value.values()))
    return safe.issuperset(map(type, value))


def is_shallow(value: object) -> bool:
    """Whether C's pickler does for ``value``: a safe leaf, a plain array, or a short container of these."""
    kind = type(value)
    if kind in SAFE_TYPES or (kind is array_type() and is_plain(value)):
        return True
    if kind not in CONTAINERS or len(value) > SHALLOW_ITEMS_MAX:  # type: ignore[arg-type]
        return False
    if kind is dict:
        return _all_leaves(value) and _all_leaves(value.values())  # type: ignore[attr-defined]
    return _all_leaves(value)


def _all_leaves(items: Any) -> bool:
    if SAFE_TYPES.issuperset(map(type, items)):
        return True
    array = array_type()
    return all(type(item) in SAFE_TYPES or (type(item) is array and is_plain(item)) for item in items)


def pack_any(value: object, name: str) -> Packed:
    """`pack` without the short cuts: with a pickler that keeps buffers out and collects references."""
    pickler = pickling.PlainPickler if is_shallow(value) else pickling.ByValuePickler
    with collect_references() as found:
        try:
            data, buffers = pickling.dump(pickler, value)
        except Exception as error:
            raise could_not(explain(value, name, error), error) from cause_of(error)
    return packed(data, buffers, found)


def packed(data: bytes, buffers: list[memoryview], found: Found) -> Packed:
    """Put a `Packed` together."""
    return Packed(
        data,
        buffers or None,
        len(data) + sum(buffer.nbytes for buffer in buffers),
        found.refs or None,
        found.holders or None,
    )


def unpack(data: Buffer, buffers: Sequence[Buffer] | None = None) -> Any:
    """Make a value again. Arrays and Arrow data are views of ``buffers``, read-only where these are.

    Raises
    ------
    Exception
        Whatever unpickling raises: a module that can't be imported here, say.
    """
    form = data[0]  # type: ignore[index]
    if form == PICKLE:
        return loads(data, buffers=buffers)
    if form == _ARRAY and buffers:
        return assemble(buffers[0], *loads(memoryview(data)[1:]))
    if form == _BYTES and buffers:
        return bytes(buffers[0])
    if form == _STR and buffers:
        return str(buffers[0], "utf-8", "surrogatepass")
    raise ValueError(f"not a packed value: it begins with byte {form:#x}")
