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

from collections.abc import Iterable, Sequence
from pickle import dumps, loads
from typing import TYPE_CHECKING, Any

from raynb.runtime.codec.arrays import ArrayHead, assemble, dismantle, is_plain
from raynb.runtime.codec.culprit import explain_call
from raynb.runtime.codec.errors import cause_of, could_not
from raynb.runtime.codec.pickling import ByValuePickler, PlainPickler, dump
from raynb.runtime.codec.references import collect_references
from raynb.runtime.codec.values import (
    CONTAINERS,
    PLAIN_TYPES,
    Packed,
    array_type,
    is_safe_container,
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
    if not kwargs and PLAIN_TYPES.issuperset(map(type, args)):
        data = dumps(args, 5)
        return Packed(data, None, len(data)), []
    taken = _Taken(args, kwargs or {}, is_ref)
    what: tuple[Any, ...]
    if taken.places or taken.array_places:
        what = (taken.args, taken.kwargs, taken.places, taken.array_places, taken.heads)
        end = b"D"
    else:
        what, end = ((args, kwargs), b"K") if kwargs else (args, b"")
    if taken.rest_is_plain:
        data = dumps(what, 5) + end
        buffers = taken.buffers
        return Packed(data, buffers or None, len(data) + sum(buffer.nbytes for buffer in buffers)), taken.dependencies
    with collect_references() as found:
        try:
            data, buffers = _dump(what, [*taken.args, *taken.kwargs.values()])
        except Exception as error:
            raise could_not(explain_call(args, kwargs or {}, error), error) from cause_of(error)
    return packed(data + end, buffers + taken.buffers, found), taken.dependencies


def _dump(what: tuple[Any, ...], arguments: list[Any]) -> tuple[bytes, list[memoryview]]:
    return dump(PlainPickler if all(map(is_shallow, arguments)) else ByValuePickler, what)


class _Taken:
    """The arguments of one call without its dependencies and arrays, and these, and where they were.

    Attributes
    ----------
    args, kwargs
        With None where something was taken out.
    rest_is_plain
        What is left holds nothing that a plain ``dumps`` couldn't write.
    """

    __slots__ = ("args", "array_places", "buffers", "dependencies", "heads", "kwargs", "places", "rest_is_plain")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], is_ref: type) -> None:
        self.dependencies: list[Any] = []
        self.places: list[Place] = []
        self.array_places: list[Place] = []
        self.heads: list[ArrayHead] = []
        self.buffers: list[memoryview] = []
        self.rest_is_plain = True
        self.args = list(args)
        self._take(enumerate(args), self.args, is_ref)
        self.kwargs = kwargs
        if kwargs:
            self.kwargs = dict(kwargs)
            self._take(kwargs.items(), self.kwargs, is_ref)

    def _take(self, arguments: Iterable[tuple[Place, Any]], left: Any, is_ref: type) -> None:
        array = array_type()
        for place, value in arguments:
            kind = type(value)
            if kind in PLAIN_TYPES:
                continue
            if kind is is_ref:
                self.dependencies.append(value)
                self.places.append(place)
                left[place] = None
            elif kind is array and is_plain(value):
                head, buffer = dismantle(value)
                self.array_places.append(place)
                self.heads.append(head)
                self.buffers.append(buffer)
                left[place] = None
            elif kind not in CONTAINERS or not is_safe_container(value, PLAIN_TYPES):
                self.rest_is_plain = False


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
