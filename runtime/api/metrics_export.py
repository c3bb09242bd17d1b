"""Metrics of a cluster for Prometheus: where they are served, if somebody has asked for that."""

from __future__ import annotations

from typing import Any

from raynb.runtime.api.cluster import METRICS_PORT_KEY
from raynb.runtime.api.cluster_metrics import HUB_NAME, HUB_NAMESPACE
from raynb.runtime.api.metrics_hub import MetricsHub
from raynb.runtime.api.objects import get
from raynb.runtime.api.remote import make_remote
from raynb.runtime.api.session import connect, shutdown
from raynb.runtime.messages.gcs import KvPut


def hub() -> Any:
    """The actor of the cluster that adds metrics up."""
    connect()
    return (
        make_remote(MetricsHub, {})
        .options(
            name=HUB_NAME,
            namespace=HUB_NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            enable_task_events=False,
        )
        .remote()
    )


def serve(port: int = 0) -> int:
    """Answer Prometheus at ``http://127.0.0.1:port/metrics``, as long as the cluster runs.

    There are the program's own metrics, and some of the cluster, under the names that Ray exports. Everybody on this
    machine can read them.

    Parameters
    ----------
    port
        0: any that is free.

    Returns
    -------
    int
        The port; that of an earlier call, if there was one.

    Raises
    ------
    OSError
        Somebody else has it.
    """
    try:
        served: int = get(hub().serve.remote(port))
    except OSError as error:
        why = getattr(error, "cause", error)  # without the actor's frames
        raise OSError(f"metrics can't be served at 127.0.0.1:{port}: {why}") from None
    client = connect()
    client.request(client.gcs, KvPut(0, METRICS_PORT_KEY, str(served).encode(), True))
    return served


def serve_from_the_beginning(port: int) -> int:
    """As `serve`, for ``init``: what it can't do ends the connection."""
    try:
        return serve(port)
    except BaseException:
        shutdown()
        raise
