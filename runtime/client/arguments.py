"""Arguments too large for a message: they go through the store, once for each call - or once, with ``put``."""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.codec.captures import LARGE_BYTES, name_of, warn
from raynb.runtime.codec.values import Packed, pack
from raynb.runtime.messages.sizes import size_text

REMEMBERED_MAX = 64

_SAMPLES, _SAMPLE_BYTES = 64, 4096


class LargeArguments:
    """Puts large arguments of calls, and says so where the same value comes again.

    Parameters
    ----------
    put
        Stores a packed value.
    limit
        Of an argument that stays in the message, in bytes.
    """

    def __init__(self, put: Callable[[Packed, str], ObjectRef[Any]], limit: int) -> None:
        self._put = put
        self._limit = limit
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        """By fingerprint."""

    def put_large(
        self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None
    ) -> tuple[tuple[Any, ...], dict[str, Any] | None]:
        """The arguments with references in the place of the large ones."""
        lighter = self._lighter
        return (
            tuple(lighter(value, index, function) for index, value in enumerate(args)),
            {key: lighter(value, key, function) for key, value in (kwargs or {}).items()},
        )

    def _lighter(self, value: Any, place: int | str, function: str) -> Any:
        if value is None or type(value) in (int, float, bool, ObjectRef):
            return value
        packed = pack(value, f"argument {place!r}")
        if packed.nbytes <= self._limit:
            return value
        if packed.nbytes >= LARGE_BYTES and self._comes_again(value, packed):
            name = name_of(value)
            known = f"`{name}`, argument {place!r} of {function}" if name else f"argument {place!r} of {function}"
            warn(
                f"{known} ({size_text(packed.nbytes)}) is copied into the object store again, as for an earlier call. "
                f"`ref = raynb.put({name or '...'})` copies it once; pass the reference, and it arrives as the value."
            )
        return self._put(packed, type(value).__name__)

    def _comes_again(self, value: Any, packed: Packed) -> bool:
        """Whether this very object, unchanged, was an argument before; true once for each."""
        print_ = fingerprint(packed)
        earlier = self._seen.pop(print_, None)
        again = earlier is not None and not earlier.told and earlier.is_of(value)
        self._seen[print_] = _Seen(value, told=again or (earlier is not None and earlier.told))
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return again


class _Seen:
    """An argument that has come."""

    def __init__(self, value: Any, told: bool) -> None:
        self.told = told
        self._object: weakref.ref[Any] | None = None
        with suppress(TypeError):  # bytes and containers can't be referred to in this way
            self._object = weakref.ref(value)

    def is_of(self, value: Any) -> bool:
        """Whether it was this object, and not one made anew with the same content."""
        return self._object() is value if self._object is not None else bool(name_of(value))


def fingerprint(packed: Packed) -> bytes:
    """Of a value's size and samples of its bytes: to read all of them would cost as much as to copy them."""
    digest = hashlib.blake2b(str(packed.nbytes).encode(), digest_size=16)
    for part in (packed.data, *(packed.buffers or ())):
        view = memoryview(part).cast("B")
        step = max(len(view) // _SAMPLES, _SAMPLE_BYTES)
        for begin in range(0, len(view), step):
            digest.update(view[begin : begin + _SAMPLE_BYTES])
    return digest.digest()
