"""Keys and values that the cluster keeps, under the names of ``ray.experimental.internal_kv``."""

from __future__ import annotations

from raynb.runtime.api.session import connect, is_initialized
from raynb.runtime.messages.gcs import KvDelete, KvGet, KvPut

__all__ = [
    "_internal_kv_del",
    "_internal_kv_exists",
    "_internal_kv_get",
    "_internal_kv_initialized",
    "_internal_kv_put",
]


def _key(key: str | bytes, namespace: str | bytes | None) -> bytes:
    name = key.encode() if isinstance(key, str) else key
    place = namespace.encode() if isinstance(namespace, str) else namespace or b""
    return b"user:" + place + b":" + name


def _internal_kv_initialized() -> bool:
    """Whether there is a cluster to ask."""
    return is_initialized()


def _internal_kv_put(
    key: str | bytes, value: str | bytes, overwrite: bool = True, *, namespace: str | bytes | None = None
) -> bool:
    """Keep a value. Whether there was one already."""
    client = connect()
    data = value.encode() if isinstance(value, str) else value
    return client.request(client.gcs, KvPut(0, _key(key, namespace), data, overwrite)) != b"1"


def _internal_kv_get(key: str | bytes, *, namespace: str | bytes | None = None) -> bytes | None:
    """The value; None if there is none."""
    client = connect()
    try:
        return client.request(client.gcs, KvGet(0, _key(key, namespace)))
    except KeyError:
        return None


def _internal_kv_exists(key: str | bytes, *, namespace: str | bytes | None = None) -> bool:
    """Whether there is a value."""
    return _internal_kv_get(key, namespace=namespace) is not None


def _internal_kv_del(key: str | bytes, *, del_by_prefix: bool = False, namespace: str | bytes | None = None) -> int:
    """Let go of a value. How many there were."""
    if del_by_prefix:
        raise NotImplementedError("raynb deletes keys one by one: it has no _internal_kv_del(del_by_prefix=True)")
    client = connect()
    return int(client.request(client.gcs, KvDelete(0, _key(key, namespace))) == b"1")
