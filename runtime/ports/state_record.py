"""The envelope of each stored row: a checksum over all that the row is, and the epoch it is from.

Layout: version (1 byte), checksum (8 bytes), epoch (8 bytes, big-endian), value. The checksum also
covers table and key, so that a row that turns up in another's place is found out too. It guards
against accidents, not against somebody who can write to the store.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Final, NamedTuple

VERSION: Final = 1
_HEAD: Final = struct.Struct(">B8sQ")
_PLACE: Final = struct.Struct(">QII")


class Record(NamedTuple):
    """An opened envelope."""

    epoch: int
    value: bytes


def seal(epoch: int, table: str, key: bytes, value: bytes) -> bytes:
    """The bytes to store for a row."""
    return _HEAD.pack(VERSION, _checksum(epoch, table, key, value), epoch) + value


def unseal(table: str, key: bytes, record: bytes) -> Record | None:
    """The row in these bytes; None if they are torn, altered, or another row's."""
    if len(record) < _HEAD.size:
        return None
    version, checksum, epoch = _HEAD.unpack_from(record)
    value = record[_HEAD.size :]
    if version != VERSION or checksum != _checksum(epoch, table, key, value):
        return None
    return Record(epoch, value)


def _checksum(epoch: int, table: str, key: bytes, value: bytes) -> bytes:
    name = table.encode()
    # The lengths come first, so that no byte can move from one part to its neighbour unnoticed.
    digest = blake2b(_PLACE.pack(epoch, len(name), len(key)), digest_size=8)
    digest.update(name)
    digest.update(key)
    digest.update(value)
    return digest.digest()
