"""How one object lies in shared memory.

Everything is little endian. All parts begin on multiples of 64 bytes, so does the next object::

    0    header (192 bytes)         magic, version, sizes, grant, object id, owner, checksums
    192  table                      offset and length of each buffer, u64 each
    ...  the pickle
    ...  the buffers

Whoever writes sets the magic to "being written" before and to "complete" after everything else; so what a killed
writer leaves is not taken for an object. Memory is used again and again without being cleared: after a client's death
what is in its memory counts only if the grant in its header is that client's (numbers of grants are never used twice)
and the checksum over header and table is right.

What goes to disk has a checksum over all behind the header as well, which whoever reads it there compares. What lies
in memory has none: nothing reads it anew.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from raynb.runtime.codec.arrays import ALIGNMENT_BYTES
from raynb.runtime.codec.copying import copy_bytes
from raynb.runtime.codec.errors import CorruptObjectError
from raynb.runtime.codec.values import Packed, unpack
from raynb.runtime.messages.ids import OBJECT_ID_BYTES
from raynb.runtime.messages.objects import SealedObject

LAYOUT_VERSION = 1
COMPLETE = b"raynbOBJ"
BEING_WRITTEN = b"raynbobj"
OWNER_BYTES_MAX = 116
NO_CHECKSUM: Final = 0
"""In place of that of a content."""

_HEADER = struct.Struct(f"<8sHHIQQQ{OBJECT_ID_BYTES}s{OWNER_BYTES_MAX}sI")
_FIXED = struct.Struct(f"<HHIQQQ{OBJECT_ID_BYTES}s{OWNER_BYTES_MAX}s")
_MAGIC_BYTES = 8
HEADER_BYTES = 192
assert _HEADER.size <= HEADER_BYTES
_CHECKSUM_AT = _HEADER.size - 4
_CHECKSUM = struct.Struct("<I")
_CONTENT_AT = _HEADER.size
_CONTENT = struct.Struct("<I")
assert _CONTENT_AT + _CONTENT.size <= HEADER_BYTES
_GRANT = struct.Struct("<Q")
_GRANT_AT = struct.calcsize("<8sHHI")
_ENTRY_BYTES = 16
_ANY_MAGIC = re.compile(b"raynb(?:OBJ|obj)")


def aligned(size: int) -> int:
    """``size`` rounded up to where the next part may begin."""
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def object_size(packed: Packed) -> int:
    """How many bytes a packed value takes in shared memory, header and padding included."""
    buffers = packed.buffers or ()
    size = aligned(HEADER_BYTES + _ENTRY_BYTES * len(buffers)) + aligned(len(packed.data))
    for buffer in buffers:
        size += aligned(buffer.nbytes)
    return size


def write_object(
    view: memoryview, oid: bytes, grant: int, packed: Packed, owner: str = "", *, on_disk: bool = False
) -> None:
    """Write a packed value.

    Parameters
    ----------
    view
        Writable; exactly `object_size` bytes, beginning on a multiple of 64. The copying of large buffers lets other
        threads run.
    oid, grant, owner
        Go into the header. The owner is needed to recover the object if its writer dies before it could tell of it.
    on_disk
        Whether ``view`` is of a file on disk: the content gets a checksum then.
    """
    total = object_size(packed)
    if view.nbytes != total:
        raise ValueError(f"an object of {total} bytes does not go into {view.nbytes}")
    name = owner.encode()
    if len(name) > OWNER_BYTES_MAX:
        raise ValueError(f"an owner's address has at most {OWNER_BYTES_MAX} bytes: {owner!r}")
    buffers = packed.buffers or []
    table_end = HEADER_BYTES + _ENTRY_BYTES * len(buffers)
    data_at = aligned(table_end)
    places: list[int] = []
    at = data_at + aligned(len(packed.data))
    for buffer in buffers:
        places += (at, buffer.nbytes)
        at += aligned(buffer.nbytes)
    fixed = _FIXED.pack(LAYOUT_VERSION, len(name), len(buffers), grant, total, len(packed.data), oid, name)
    table = struct.pack(f"<{len(places)}Q", *places)
    view[:_MAGIC_BYTES] = BEING_WRITTEN
    view[_MAGIC_BYTES:_CHECKSUM_AT] = fixed
    _CHECKSUM.pack_into(view, _CHECKSUM_AT, zlib.crc32(table, zlib.crc32(fixed)))
    view[HEADER_BYTES:table_end] = table
    view[data_at : data_at + len(packed.data)] = packed.data
    for buffer, begin in zip(buffers, places[::2], strict=True):
        copy_bytes(view[begin : begin + buffer.nbytes], buffer)
    _CONTENT.pack_into(view, _CONTENT_AT, content_checksum([view[HEADER_BYTES:]]) if on_disk else NO_CHECKSUM)
    view[:_MAGIC_BYTES] = COMPLETE


def content_checksum(pieces: Iterable[memoryview]) -> int:
    """The checksum over an object's bytes behind its header (32 bits of XXH3), which come in pieces."""
    from xxhash import xxh3_64  # seldom needed

    digest = xxh3_64()
    for piece in pieces:
        digest.update(piece)
    return int(digest.intdigest() & 0xFFFFFFFF) or 1


def stored_checksum(view: memoryview) -> int:
    """The checksum over its content that an object has, which begins with ``view``; `NO_CHECKSUM`: it has none."""
    return int(_CONTENT.unpack_from(view, _CONTENT_AT)[0])


class Header:
    """The header of an object, checked against its checksum.

    Parameters
    ----------
    view
        Begins with it, and may reach beyond the object.
    """

    __slots__ = ("complete", "data_at", "data_bytes", "grant", "oid", "owner", "places", "total")

    def __init__(self, view: memoryview) -> None:
        if view.nbytes < HEADER_BYTES:
            raise CorruptObjectError(f"{view.nbytes} bytes are too few for an object")
        magic, version, owner_bytes, count, self.grant, self.total, self.data_bytes, oid, owner, checksum = (
            _HEADER.unpack_from(view)
        )
        if magic != COMPLETE and magic != BEING_WRITTEN:
            raise CorruptObjectError("no object begins here")
        if version != LAYOUT_VERSION:
            raise CorruptObjectError(f"layout {version} of an object is not {LAYOUT_VERSION}")
        table_end = HEADER_BYTES + _ENTRY_BYTES * count
        table = view[HEADER_BYTES:table_end]
        if (
            table.nbytes != _ENTRY_BYTES * count
            or zlib.crc32(table, zlib.crc32(view[_MAGIC_BYTES:_CHECKSUM_AT])) != checksum
        ):
            raise CorruptObjectError("the checksum of an object's header is wrong")
        self.complete = magic == COMPLETE
        self.oid: bytes = oid
        self.owner: str = owner[:owner_bytes].decode()
        self.data_at = aligned(table_end)
        self.places: tuple[int, ...] = struct.unpack_from(f"<{2 * count}Q", table)


def read_object(view: memoryview, oid: bytes) -> Any:
    """Make the value again that lies in ``view``; its arrays are slices of ``view``, without a copy.

    Parameters
    ----------
    view
        Begins with the object; best a `pinned_view`, whose pins then live as long as anything that views the memory.
    oid
        The object that is expected there.

    Raises
    ------
    CorruptObjectError
        It isn't there, or not complete.
    Exception
        Whatever unpickling raises.
    """
    header = Header(view)
    if not header.complete or header.oid != oid or header.total > view.nbytes:
        found = header.oid.hex() if header.complete else "an unfinished object"
        raise CorruptObjectError(f"object {oid.hex()} is not where it was said to be, but {found}")
    places = header.places
    buffers = [view[at : at + size] for at, size in zip(places[::2], places[1::2], strict=True)]
    data = view[header.data_at : header.data_at + header.data_bytes]
    return unpack(data, buffers)


def adopt_object(view: memoryview, oid: bytes, grant: int, *, on_disk: bool = False) -> None:
    """See that ``view`` is this object, copied from elsewhere, whole; and have its header say that it was made under
    ``grant``, which is what numbers mean here.

    Parameters
    ----------
    on_disk
        Whether ``view`` is of a file on disk: the content has a checksum then.

    Raises
    ------
    CorruptObjectError
        It isn't.
    """
    header = Header(view)
    if not header.complete or header.oid != oid or header.total != view.nbytes:
        raise CorruptObjectError(f"what was copied is not object {oid.hex()}, or not all of it")
    told = stored_checksum(view)
    if told != NO_CHECKSUM or on_disk:
        found = content_checksum([view[HEADER_BYTES:]])
        if told not in (NO_CHECKSUM, found):
            raise CorruptObjectError(f"object {oid.hex()} was damaged on the disk that it came from")
        _CONTENT.pack_into(view, _CONTENT_AT, found)
    _GRANT.pack_into(view, _GRANT_AT, grant)
    table = view[HEADER_BYTES : HEADER_BYTES + _ENTRY_BYTES * (len(header.places) // 2)]
    _CHECKSUM.pack_into(view, _CHECKSUM_AT, zlib.crc32(table, zlib.crc32(view[_MAGIC_BYTES:_CHECKSUM_AT])))


def walk_extent(view: memoryview, grant: int, base: int = 0) -> Iterator[SealedObject]:
    """Find the complete objects that were made under ``grant``.

    Parameters
    ----------
    view
        The granted memory, whole. It is not taken apart by sizes alone: a writer may have died between its objects.
    grant
        Objects of earlier grants, which may still lie there, are passed over.
    base
        Offset of ``view`` in its segment; the offsets of the objects include it.
    """
    at = 0
    while match := _ANY_MAGIC.search(view, at):
        at = aligned(match.start())
        if at != match.start():
            continue
        try:
            header = Header(view[at:])
        except (CorruptObjectError, UnicodeDecodeError):
            at += ALIGNMENT_BYTES
            continue
        if header.grant != grant or not 0 < header.total <= view.nbytes - at:
            at += ALIGNMENT_BYTES
            continue
        if header.complete:
            yield SealedObject(header.oid, header.owner, grant, base + at, header.total)
        at += header.total
