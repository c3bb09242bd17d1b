"""Keys and values: functions, classes, named objects, whatever else must outlive its maker.

Rules
-----
* Knows no content. A value is written with the name of the request that wrote it, so that a `KvPut` without
  ``overwrite`` that is repeated after a restart of the GCS is still answered as the first time.
* A write that fails gives the key its last durable value back.
* Bounded: a value by ``Config.function_blob_limit_bytes``, all of them by `KEYS_BYTES_MAX`.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from raynb.runtime.core.gcs_effects import Write
from raynb.runtime.core.gcs_journal import Effect, Effects, Journal
from raynb.runtime.core.gcs_requests import Requests, refusal
from raynb.runtime.messages.gcs import KvDelete, KvGet, KvKeys, KvPut, Reply

TABLE: Final = "keys"
KEYS_BYTES_MAX: Final = 4 * 1024**3
LISTED_MAX: Final = 100_000


class KeyRecord(Struct, array_like=True, frozen=True, gc=False):
    """What stands in the store."""

    value: bytes
    writer: str
    request: int
    was_new: bool


class KeyTable:
    """The keys of a cluster."""

    def __init__(self, journal: Journal, requests: Requests, value_bytes_max: int) -> None:
        self._journal = journal
        self._requests = requests
        self._value_bytes_max = value_bytes_max
        self._records: dict[bytes, KeyRecord] = {}
        self._durable: dict[bytes, KeyRecord | None] = {}
        """Of keys with a write under way: what stands in the store for certain."""
        self.bytes = 0

    def __repr__(self) -> str:
        return f"<KeyTable {len(self._records)} keys, {self.bytes} bytes>"

    def __len__(self) -> int:
        return len(self._records)

    def load(self, key: bytes, value: bytes) -> None:
        """A row of the store. `msgspec.DecodeError` if it isn't one."""
        self._set(key, msgspec.msgpack.decode(value, type=KeyRecord))

    def put(self, sender: str, message: KvPut, now: float) -> Effects:
        """Set a key, or find that it is there already."""
        present = self._records.get(message.key)
        if present is not None and (present.writer, present.request) == (sender, message.request):
            return self._answer_when_durable(sender, message, _flag(present.was_new))
        if len(message.value) > self._value_bytes_max:
            text = f"a value of {len(message.value)} bytes is too large: {self._value_bytes_max}"
            return [self._refuse(sender, message.request, "ValueError", text)]
        if self.bytes + len(message.value) > KEYS_BYTES_MAX:
            text = f"the keys of this cluster already hold {self.bytes} bytes: delete some first"
            return [self._refuse(sender, message.request, "RaySystemError", text)]
        if present is not None and not message.overwrite:
            return self._answer_when_durable(sender, message, b"0")
        record = KeyRecord(message.value, sender, message.request, present is None)
        return self._write(sender, message.request, message.key, record, now, present is None)

    def delete(self, sender: str, message: KvDelete, now: float) -> Effects:
        """Delete a key, if it is there."""
        if message.key not in self._records:
            return self._answer_when_durable(sender, message, b"0")
        return self._write(sender, message.request, message.key, None, now, True)

    def get(self, sender: str, message: KvGet) -> Effects:
        """Read a key, as of the last durable write."""

        def answer() -> Effects:
            record = self._records.get(message.key)
            if record is None:
                reply = refusal(message.request, "KeyError", repr(message.key))
            else:
                reply = Reply(message.request, record.value)
            return [self._requests.answer(sender, reply, keep=False)]

        return self._journal.when_durable(TABLE, message.key, answer, lambda _: answer())

    def listed(self, sender: str, message: KvKeys) -> Effects:
        """The keys that begin so, as of the last durable writes."""
        standing = {**self._records, **self._durable}
        found = [key for key, record in standing.items() if record is not None and key.startswith(message.prefix)]
        if len(found) > LISTED_MAX:
            text = (
                f"{len(found)} keys begin with {message.prefix!r}, more than {LISTED_MAX}: ask for a longer beginning"
            )
            return [self._refuse(sender, message.request, "ValueError", text)]
        reply = Reply(message.request, msgspec.msgpack.encode(sorted(found)))
        return [self._requests.answer(sender, reply, keep=False)]

    def _write(
        self,
        sender: str,
        request: int,
        key: bytes,
        record: KeyRecord | None,
        now: float,
        flag: bool,
    ) -> Effects:
        self._durable.setdefault(key, self._records.get(key))
        self._set(key, record)

        def durable() -> Effects:
            if self._records.get(key) is record:
                self._durable.pop(key, None)
            else:
                self._durable[key] = record
            return [self._requests.answer(sender, Reply(request, _flag(flag)), keep=True)]

        def undo(reason: str) -> Effects:
            effects: Effects = []
            if self._records.get(key) is record:
                before = self._durable.pop(key, None)
                self._set(key, before)
                effects.append(self._journal.write([_write_of(key, before)], now))
            text = f"{key!r} was not written: {reason}"
            return [*effects, self._refuse(sender, request, "RaySystemError", text)]

        return [self._journal.write([_write_of(key, record)], now, durable, undo)]

    def _set(self, key: bytes, record: KeyRecord | None) -> None:
        old = self._records.pop(key, None)
        self.bytes -= len(old.value) if old is not None else 0
        if record is not None:
            self._records[key] = record
            self.bytes += len(record.value)

    def _answer_when_durable(self, sender: str, message: KvPut | KvDelete, data: bytes) -> Effects:
        """An answer that rests on the key as it is now."""
        request = message.request

        def answer() -> Effects:
            return [self._requests.answer(sender, Reply(request, data), keep=True)]

        def undo(reason: str) -> Effects:
            text = f"{message.key!r} is uncertain: {reason}"
            return [self._refuse(sender, request, "RaySystemError", text)]

        return self._journal.when_durable(TABLE, message.key, answer, undo)

    def _refuse(self, sender: str, request: int, kind: str, text: str) -> Effect:
        return self._requests.answer(sender, refusal(request, kind, text), keep=True)

    def writes(self) -> list[Write]:
        """Everything, for a store that has lost it."""
        return [_write_of(key, record) for key, record in self._records.items()]

    def check(self) -> None:
        """The invariants."""
        assert self.bytes == sum(len(record.value) for record in self._records.values())


def _flag(value: bool) -> bytes:
    return b"1" if value else b"0"


def _write_of(key: bytes, record: KeyRecord | None) -> Write:
    return Write(TABLE, key, None if record is None else msgspec.msgpack.encode(record))
