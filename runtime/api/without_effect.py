"""Options of Ray's that are taken and do nothing in raynb: who gives one that asks for something is told, with why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

NO_DASHBOARD: Final = (
    "raynb has no dashboard of Ray's kind: JupyterLab shows what a cluster does, and `raynb` in a terminal"
)
NO_PORTS: Final = "raynb opens no ports: its processes find each other by sockets of this machine"
SHARED_MEMORY: Final = "objects are in the machine's shared memory"
_IN_THE_URL: Final = "a user and a password are parts of the URL that redis= takes"
_NO_AGENTS: Final = "nodes have no agents"

OF_INIT: Final = {
    "_node_ip_address": NO_PORTS,
    "_plasma_directory": SHARED_MEMORY,
    "_redis_password": _IN_THE_URL,
    "_redis_username": _IN_THE_URL,
    "dashboard_host": NO_DASHBOARD,
    "dashboard_port": NO_DASHBOARD,
    "include_dashboard": NO_DASHBOARD,
}
"""Of `init`."""
OF_NODE: Final = {
    "dashboard_agent_listen_port": _NO_AGENTS,
    "dashboard_host": NO_DASHBOARD,
    "dashboard_port": NO_DASHBOARD,
    "gcs_server_port": NO_PORTS,
    "include_dashboard": NO_DASHBOARD,
    "metrics_export_port": "init(_metrics_export_port=...) and `raynb start` serve a cluster's metrics",
    "node_ip_address": NO_PORTS,
    "node_manager_port": NO_PORTS,
    "num_redis_shards": "init(redis=...) takes the URL of the Redis that is there",
    "object_manager_port": NO_PORTS,
    "redis_max_memory": "init(redis=...) takes the URL of the Redis that is there",
}
"""Of `cluster_utils.Cluster.add_node`."""
OF_ENVIRONMENT: Final = {
    "log_files": "what setting an environment up has said is in its error, and in the log of the worker that did",
}
"""Of `RuntimeEnvConfig`."""
OF_START: Final = {
    "--dashboard-agent-grpc-port": _NO_AGENTS,
    "--dashboard-agent-listen-port": _NO_AGENTS,
    "--dashboard-grpc-port": NO_DASHBOARD,
    "--dashboard-host": NO_DASHBOARD,
    "--dashboard-port": NO_DASHBOARD,
    "--include-dashboard": NO_DASHBOARD,
    "--include-log-monitor": "nodes tell what is logged themselves",
    "--log-color": "this command prints plain text",
    "--log-style": "this command prints plain text",
    "--max-worker-port": NO_PORTS,
    "--min-worker-port": NO_PORTS,
    "--node-ip-address": NO_PORTS,
    "--node-manager-port": NO_PORTS,
    "--object-manager-port": NO_PORTS,
    "--plasma-directory": SHARED_MEMORY,
    "--port": NO_PORTS,
    "--ray-debugger-external": "a task at breakpoint() is reached by %raynb debug",
    "--ray-client-server-port": NO_PORTS,
    "--redis-shard-ports": NO_PORTS,
    "--runtime-env-agent-port": _NO_AGENTS,
    "--worker-port-list": NO_PORTS,
}
"""Of ``raynb start``; what it takes besides asks for what raynb does anyway."""
_NOTHING_TO_ASK: Final = ("", "[]", "127.0.0.1", "localhost", "false", "auto")


def tell(form: str, given: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    """Warn of each that is given and that asks for something.

    Parameters
    ----------
    form
        How it was given, with ``{name}`` and ``{value!r}`` in it.
    given
        Values by names.
    reasons
        By the names that have no effect: why.
    """
    for name in sorted(given.keys() & reasons.keys()):
        value = given[name]
        if value is None or value is False or str(value).lower() in _NOTHING_TO_ASK:
            continue
        shown = form.format(name=name, value=value)
        logging.getLogger("raynb").warning("raynb: %s has no effect: %s.", shown, reasons[name])
