"""The living actors that have names."""

from __future__ import annotations

from typing import Any

from raynb.runtime.api import local_mode
from raynb.runtime.api.cluster import query
from raynb.runtime.api.session import connect


def list_named_actors(all_namespaces: bool = False) -> list[Any]:
    """Names of the living named actors.

    Returns
    -------
    list of str, or of dict
        Of this process's namespace; of all with ``all_namespaces``, then each as ``{"name", "namespace"}``.
    """
    if local_mode.running is not None:
        rows = [{"name": name, "namespace": namespace} for namespace, name in local_mode.running.names]
    else:
        rows = query("named_actors", limit=100_000)["rows"]
        rows = [row for row in rows if not row["name"].startswith("raynb:")]  # its own
    if all_namespaces:
        return [{"name": row["name"], "namespace": row["namespace"]} for row in rows]
    here = connect().execution().context.namespace
    return [row["name"] for row in rows if row["namespace"] == here]
