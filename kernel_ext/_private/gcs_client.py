"""Keys and values by a cluster's address, under the name of ``ray._raylet.GcsClient``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from raynb.runtime.adapters.registry import ClusterEntry, find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.api.published import publish
from raynb.runtime.api.session import connect, is_initialized
from raynb.runtime.client.ids import JobID
from raynb.runtime.client.refs import current
from raynb.runtime.messages import Message
from raynb.runtime.messages.errors import GetTimeoutError, RpcError
from raynb.runtime.messages.gcs import KvDelete, KvGet, KvKeys, KvPut

USERS: Final = b"user:"
RESERVED: Final = b"@namespace_"
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class GcsClientOptions:
    """Which cluster is meant.

    Attributes
    ----------
    gcs_address
        What `init` takes.
    """

    gcs_address: str

    @classmethod
    def create(cls, gcs_address: str, cluster_id_hex: str | None = None, *_how: Any, **_why: Any) -> GcsClientOptions:
        """The address says it all."""
        return cls(gcs_address)

    @classmethod
    def from_gcs_address(cls, gcs_address: str) -> GcsClientOptions:
        """As `create`."""
        return cls(gcs_address)


class GcsClient:
    """The keys of a cluster, whether this process is connected to it or not.

    Each method raises `RpcError` if the cluster's GCS does not answer within its ``timeout``, in seconds.

    Parameters
    ----------
    address
        What `init` takes; None: the cluster of this process.
    nums_reconnect_retry, cluster_id
        Without effect: a request is repeated until its time is over.
    """

    def __init__(self, address: str | None = None, nums_reconnect_retry: int = 5, cluster_id: Any = None) -> None:
        self._entry: ClusterEntry | None = None
        if address is not None and not (is_initialized() and address == current().gcs):
            self._entry = find(address)
            address = self._entry.gcs_address
        self.address = address if address is not None else connect().gcs

    def __repr__(self) -> str:
        return f"<GcsClient {self.address}>"

    @contextmanager
    def _asker(self) -> Iterator[Any]:
        try:
            if self._entry is None:
                client = connect()
                yield lambda message, timeout: client.request(client.gcs, message, timeout)
                return
            with Requester(self._entry.session_dir) as guest:
                yield (
                    lambda message, timeout: (
                        guest.ask(self.address, _numbered(message, guest.number()), timeout or TIMEOUT_S).data
                    )
                )
        except GetTimeoutError as error:
            raise RpcError(f"Timed out: {error}") from error

    def internal_kv_get(self, key: bytes, namespace: bytes | None = None, timeout: float | None = None) -> bytes | None:
        """The value; None if there is none."""
        with self._asker() as ask:
            try:
                value: bytes = ask(KvGet(0, full_key(key, namespace)), timeout)
            except KeyError:
                return None
        return value

    def internal_kv_put(
        self,
        key: bytes,
        value: bytes,
        overwrite: bool = False,
        namespace: bytes | None = None,
        timeout: float | None = None,
    ) -> int:
        """Keep a value. How many keys are new: 1 or 0."""
        with self._asker() as ask:
            return int(ask(KvPut(0, full_key(key, namespace), value, overwrite), timeout) == b"1")

    def internal_kv_del(
        self, key: bytes, del_by_prefix: bool = False, namespace: bytes | None = None, timeout: float | None = None
    ) -> int:
        """Let go of a value, or of all whose keys begin so. How many there were."""
        with self._asker() as ask:
            keys = [full_key(key, namespace)]
            if del_by_prefix:
                keys = _decoded(ask(KvKeys(0, keys[0]), timeout))
            return sum(ask(KvDelete(0, each), timeout) == b"1" for each in keys)

    def internal_kv_keys(
        self, prefix: bytes, namespace: bytes | None = None, timeout: float | None = None
    ) -> list[bytes]:
        """The keys that begin so."""
        with self._asker() as ask:
            found = _decoded(ask(KvKeys(0, full_key(prefix, namespace)), timeout))
        return [each[len(full_key(b"", namespace)) :] for each in found]

    def internal_kv_multi_get(
        self, keys: Sequence[bytes], namespace: bytes | None = None, timeout: float | None = None
    ) -> dict[bytes, bytes]:
        """The values of those keys that there are."""
        found = {key: self.internal_kv_get(key, namespace, timeout) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def internal_kv_exists(self, key: bytes, namespace: bytes | None = None, timeout: float | None = None) -> bool:
        """Whether there is a value."""
        return self.internal_kv_get(key, namespace, timeout) is not None

    async def async_internal_kv_get(
        self, key: bytes, namespace: bytes | None = None, timeout: float | None = None
    ) -> bytes | None:
        """As `internal_kv_get`."""
        return await asyncio.to_thread(self.internal_kv_get, key, namespace, timeout)

    async def async_internal_kv_put(
        self,
        key: bytes,
        value: bytes,
        overwrite: bool = False,
        namespace: bytes | None = None,
        timeout: float | None = None,
    ) -> int:
        """As `internal_kv_put`."""
        return await asyncio.to_thread(self.internal_kv_put, key, value, overwrite, namespace, timeout)

    async def async_internal_kv_del(
        self, key: bytes, del_by_prefix: bool = False, namespace: bytes | None = None, timeout: float | None = None
    ) -> int:
        """As `internal_kv_del`."""
        return await asyncio.to_thread(self.internal_kv_del, key, del_by_prefix, namespace, timeout)

    async def async_internal_kv_keys(
        self, prefix: bytes, namespace: bytes | None = None, timeout: float | None = None
    ) -> list[bytes]:
        """As `internal_kv_keys`."""
        return await asyncio.to_thread(self.internal_kv_keys, prefix, namespace, timeout)

    async def async_internal_kv_multi_get(
        self, keys: Sequence[bytes], namespace: bytes | None = None, timeout: float | None = None
    ) -> dict[bytes, bytes]:
        """As `internal_kv_multi_get`."""
        return await asyncio.to_thread(self.internal_kv_multi_get, keys, namespace, timeout)

    async def async_internal_kv_exists(
        self, key: bytes, namespace: bytes | None = None, timeout: float | None = None
    ) -> bool:
        """As `internal_kv_exists`."""
        return await asyncio.to_thread(self.internal_kv_exists, key, namespace, timeout)

    def publish_error(
        self, key_id: bytes, error_type: str, message: str, job_id: JobID | None = None, num_retries: int | None = None
    ) -> None:
        """Tell whoever listens to errors (`GcsErrorSubscriber`). ``key_id`` and ``num_retries`` are without effect."""
        with self._asker() as ask:
            publish(lambda what: ask(what, None), error_type, message, (job_id or JobID.nil()).binary())


def full_key(key: bytes | str, namespace: bytes | str | None) -> bytes:
    """A program's key, where the cluster has it.

    Raises
    ------
    RuntimeError
        Its beginning is Ray's own.
    """
    name = key.encode() if isinstance(key, str) else key
    place = namespace.encode() if isinstance(namespace, str) else namespace or b""
    if name.startswith(RESERVED):
        raise RuntimeError(f"a key may not begin with {RESERVED.decode()}: {name!r}")
    return USERS + place + b":" + name


def _decoded(data: bytes) -> list[bytes]:
    return msgspec.msgpack.decode(data, type=list[bytes])


def _numbered(message: Message, number: int) -> Message:
    return msgspec.structs.replace(message, request=number)
