"""The arguments of a call as bytes and back.

References that stand as arguments themselves are dependencies: they arrive as their values, so they are taken out, and
a call remembers where they go. Plain arrays among the arguments are taken out, too, which spares a slow pickle. A call
is a pickle, which ends with its STOP byte, and then one byte more if it is not simply ``args``:

=====  ===================================================================================
end    the pickle holds
=====  ===================================================================================
``.``  ``args`` alone
``K``  ``(args, kwargs)``
``D``  ``(args, kwargs, places of dependencies, places of arrays, heads of arrays)``
=====  ===================================================================================

A place is a position or a keyword. The i-th dependency goes to the i-th of its places; the last buffers are the
arrays'.
"""

from __future__ import annotations

from collections.abc import Sequence
from pickle import dumps, loads
from typing import TYPE_CHECKING, Any

from raynb.runtime.codec import pickling
from raynb.runtime.codec.arrays import ArrayHead, assemble, dismantle, is_plain
from raynb.runtime.codec.culprit import explain_call
from raynb.runtime.codec.errors import SerializationError
from raynb.runtime.codec.references import collect_references
from raynb.runtime.codec.values import (
    PLAIN_TYPES,
    Packed,
    array_type,
    is_shallow,
    packed,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_KWARGS, _PLACES = ord("K"), ord("D")
Place = int | str


def pack_call(args: tuple[Any, ...], kwargs: dict[str, Any] | None, is_ref: type) -> tuple[Packed, list[Any]]:
    """Pack the arguments of a call.

    Parameters
    ----------
    args, kwargs
        As given; neither is changed.
    is_ref : type
        Arguments of exactly this type are dependencies. Those deeper inside are references that the callee gets.

    Returns
    -------
    packed, dependencies
        The dependencies as they stood there, in the order in which `unpack_call` wants their values.

    Raises
    ------
    SerializationError
        An argument can't be pickled; the message names the culprit.
    """
    if PLAIN_TYPES.issuperset(map(type, args)) and (not kwargs or PLAIN_TYPES.issuperset(map(type, kwargs.values()))):
        data = dumps((args, kwargs), 5) + b"K" if kwargs else dumps(args, 5)
        return Packed(data, None, len(data)), []
    return _pack_call_any(args, kwargs or {}, is_ref)


def _pack_call_any(args: tuple[Any, ...], kwargs: dict[str, Any], is_ref: type) -> tuple[Packed, list[Any]]:
    taken = _Taken(is_ref)
    left = [taken.out(place, value) for place, value in enumerate(args)]
    named = {key: taken.out(key, value) for key, value in kwargs.items()}
    what: tuple[Any, ...] = (args, kwargs) if kwargs else args
    end = b"K" if kwargs else b""
    if taken.places or taken.array_places:
        what = (left, named, taken.places, taken.array_places, taken.heads)
        end = b"D"
    with collect_references() as found:
        try:
            data, buffers = _dump(what, [*left, *named.values()])
        except Exception as error:
            raise SerializationError(explain_call(args, kwargs, error)) from error
    return packed(data + end, buffers + taken.buffers, found), taken.dependencies


def _dump(what: tuple[Any, ...], arguments: list[Any]) -> tuple[bytes, list[memoryview]]:
    if PLAIN_TYPES.issuperset(map(type, arguments)):
        return dumps(what, 5), []
    if all(map(is_shallow, arguments)):
        return pickling.dump(pickling.PlainPickler, what)
    return pickling.dump(pickling.ByValuePickler, what)


class _Taken:
    """What was taken out of the arguments of one call, and from where."""

    __slots__ = ("_array_type", "_ref_type", "array_places", "buffers", "dependencies", "heads", "places")

    def __init__(self, ref_type: type) -> None:
        self._ref_type = ref_type
        self._array_type = array_type()
        self.dependencies: list[Any] = []
        self.places: list[Place] = []
        self.array_places: list[Place] = []
        self.heads: list[ArrayHead] = []
        self.buffers: list[memoryview] = []

    def out(self, place: Place, value: Any) -> Any:
        """None if the value was taken out, else the value."""
        kind = type(value)
        if kind is self._ref_type:
            self.dependencies.append(value)
            self.places.append(place)
            return None
        if kind is self._array_type and is_plain(value):
            head, buffer = dismantle(value)
            self.array_places.append(place)
            self.heads.append(head)
            self.buffers.append(buffer)
            return None
        return value


def unpack_call(
    data: Buffer,
    buffers: Sequence[Buffer] | None = None,
    dependencies: Sequence[object] | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, the values of its dependencies among them.

    Raises
    ------
    Exception
        Whatever unpickling raises.
    """
    end = data[-1]  # type: ignore[index]
    if end == _KWARGS:
        return loads(data, buffers=buffers)  # type: ignore[no-any-return]
    if end != _PLACES:
        return loads(data, buffers=buffers), {}
    positional, named, places, array_places, heads = loads(data, buffers=buffers)
    if heads and buffers is not None:
        first = len(buffers) - len(heads)
        for number, (place, head) in enumerate(zip(array_places, heads, strict=True), first):
            (positional if type(place) is int else named)[place] = assemble(buffers[number], *head)
    if places:
        for place, value in zip(places, dependencies or (), strict=True):
            (positional if type(place) is int else named)[place] = value
    return tuple(positional), named
