"""Keys and values that the cluster keeps, under the names of ``ray.experimental.internal_kv``."""

from __future__ import annotations

from raynb._private.gcs_client import GcsClient
from raynb.runtime.api.session import is_initialized

__all__ = [
    "_initialize_internal_kv",
    "_internal_kv_del",
    "_internal_kv_exists",
    "_internal_kv_get",
    "_internal_kv_initialized",
    "_internal_kv_list",
    "_internal_kv_put",
    "_internal_kv_reset",
    "internal_kv_get_gcs_client",
]

_chosen: GcsClient | None = None


def _initialize_internal_kv(gcs_client: GcsClient) -> None:
    """From now on ask this cluster, instead of the one that this process is connected to."""
    global _chosen
    _chosen = gcs_client


def _internal_kv_reset() -> None:
    """Ask the cluster that this process is connected to."""
    global _chosen
    _chosen = None


def internal_kv_get_gcs_client() -> GcsClient:
    """The cluster that is asked."""
    return _chosen or GcsClient()


def _internal_kv_initialized() -> bool:
    """Whether there is a cluster to ask."""
    return _chosen is not None or is_initialized()


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _place(namespace: str | bytes | None) -> bytes | None:
    return None if namespace is None else _bytes(namespace)


def _internal_kv_put(
    key: str | bytes, value: str | bytes, overwrite: bool = True, *, namespace: str | bytes | None = None
) -> bool:
    """Keep a value. Whether there was one already."""
    client = internal_kv_get_gcs_client()
    return not client.internal_kv_put(_bytes(key), _bytes(value), overwrite, _place(namespace))


def _internal_kv_get(key: str | bytes, *, namespace: str | bytes | None = None) -> bytes | None:
    """The value; None if there is none."""
    return internal_kv_get_gcs_client().internal_kv_get(_bytes(key), _place(namespace))


def _internal_kv_exists(key: str | bytes, *, namespace: str | bytes | None = None) -> bool:
    """Whether there is a value."""
    return _internal_kv_get(key, namespace=namespace) is not None


def _internal_kv_del(key: str | bytes, *, del_by_prefix: bool = False, namespace: str | bytes | None = None) -> int:
    """Let go of a value, or of all whose keys begin so. How many there were."""
    return internal_kv_get_gcs_client().internal_kv_del(_bytes(key), del_by_prefix, _place(namespace))


def _internal_kv_list(prefix: str | bytes, *, namespace: str | bytes | None = None) -> list[bytes]:
    """The keys that begin so."""
    return internal_kv_get_gcs_client().internal_kv_keys(_bytes(prefix), _place(namespace))
