"""``raynb.cluster_utils.Cluster``: a cluster of its own for tests, which a program joins by its address.

It has one node so far: a second one is refused by name.
"""

from __future__ import annotations

import atexit
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from raynb.runtime.adapters.launch import ClusterInfo, ClusterOptions, launch_cluster
from raynb.runtime.adapters.processes import Process
from raynb.runtime.adapters.request import Requester
from raynb.runtime.adapters.session_dir import sweep
from raynb.runtime.api.session import config_of, init, is_initialized, session
from raynb.runtime.messages.node import StopNode

NODE_DEFAULTS: Final = {"num_cpus": 1, "object_store_memory": 150 * 2**20}
"""As Ray's: a test's node is small."""

WITHOUT_EFFECT: Final = frozenset(
    {"dashboard_agent_listen_port", "dashboard_host", "dashboard_port", "env_vars", "include_dashboard", "memory",
     "metrics_export_port", "node_ip_address", "node_name", "num_redis_shards", "redis_max_memory"}
)  # fmt: skip
STOP_PATIENCE_S: Final = 10.0


class ClusterNode:
    """One node of a cluster.

    Attributes
    ----------
    node_id : str
        In hex.
    address, gcs_address : str
        What `init` takes.
    """

    def __init__(self, info: ClusterInfo, node_id: str) -> None:
        self.info = info
        self.node_id = self.unique_id = node_id
        self.address = info.node_manager
        self.gcs_address = info.gcs
        self.node_ip_address = info.node_ip
        self.head = True
        self.process = Process(info.pid, is_child=False)

    def __repr__(self) -> str:
        return f"<ClusterNode {self.node_id[:16]} pid={self.info.pid}>"

    def is_head(self) -> bool:
        """Whether the GCS runs here."""
        return self.head

    def any_processes_alive(self) -> bool:
        """Whether its node manager runs."""
        return self.process.wait(0) is None

    def remaining_processes_alive(self) -> bool:
        """Whether all runs that was started."""
        return self.any_processes_alive()

    def get_session_dir_path(self) -> str:
        """Where its logs and sockets are."""
        return self.info.session_dir

    def stop(self, *, graceful: bool = True) -> None:
        """End it, and wait until it has ended: asked first, or killed at once."""
        if not (graceful and self._ends_when_asked()):
            self.process.signal(signal.SIGKILL)
            self.process.wait(STOP_PATIENCE_S)
            # It could not clean up behind itself.
            sweep(str(Path(self.info.session_dir).parent.parent))
        self.process.close()

    def _ends_when_asked(self) -> bool:
        deadline = time.monotonic() + STOP_PATIENCE_S
        with suppress(OSError), Requester(self.info.session_dir) as guest:
            while self.any_processes_alive() and time.monotonic() < deadline:
                guest.send(self.info.node_manager, StopNode("its Cluster was shut down"))
                if self.process.wait(0.5) is not None:
                    return True
        return False


class Cluster:
    """A cluster that lives until `shutdown`, whoever joins and leaves it.

    Parameters
    ----------
    initialize_head
        Start its first node now, with ``head_node_args``; otherwise `add_node` does.
    connect
        Join it, too.
    shutdown_at_exit
        End it with this process.

    Examples
    --------
    >>> cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})  # doctest: +SKIP
    >>> raynb.init(address=cluster.address)  # doctest: +SKIP
    """

    def __init__(
        self,
        initialize_head: bool = False,
        connect: bool = False,
        head_node_args: Mapping[str, Any] | None = None,
        shutdown_at_exit: bool = True,
    ) -> None:
        if connect and not initialize_head:
            raise RuntimeError("Cannot connect to uninitialized cluster.")
        self.head_node: ClusterNode | None = None
        self.worker_nodes: set[ClusterNode] = set()
        self.connected = False
        self._shutdown_at_exit = shutdown_at_exit
        if initialize_head:
            self.add_node(**(head_node_args or {}))
        if connect:
            self.connect()

    @property
    def address(self) -> str | None:
        """What `init` takes; None before there is a node."""
        return self.head_node.address if self.head_node is not None else None

    @property
    def gcs_address(self) -> str | None:
        """Of its GCS; None before there is a node."""
        return self.head_node.gcs_address if self.head_node is not None else None

    def add_node(self, wait: bool = True, **node_args: Any) -> ClusterNode:
        """Start a node.

        Parameters
        ----------
        wait
            Without effect: it is there when this returns.
        **node_args
            ``num_cpus`` (1), ``num_gpus``, ``resources``, ``labels``, ``object_store_memory`` (150 MiB),
            ``_system_config``.

        Raises
        ------
        NotImplementedError
            There is a node already: raynb's clusters have one so far.
        ValueError
            An argument that is not known.
        """
        if self.head_node is not None:
            raise NotImplementedError(
                "raynb's clusters have one node so far, on this machine: cluster_utils.Cluster can't add a second one"
            )
        given = {**NODE_DEFAULTS, **node_args}
        known = {name: given.pop(name, None) for name in ("num_cpus", "num_gpus", "object_store_memory")}
        resources, labels = given.pop("resources", None), given.pop("labels", None)
        config = config_of(given.pop("_system_config", None))
        if unknown := sorted(name for name in given if name not in WITHOUT_EFFECT):
            raise ValueError(f"add_node() does not know {', '.join(unknown)} in raynb")
        info = launch_cluster(
            ClusterOptions(
                **known,
                resources={name: float(amount) for name, amount in (resources or {}).items()},
                labels=dict(labels or {}),
                config=config,
                lifetime="daemon",
            )
        )
        self.head_node = ClusterNode(info, _node_id(info))
        if self._shutdown_at_exit:
            atexit.register(self.shutdown)
        return self.head_node

    def connect(self, namespace: str | None = None) -> None:
        """Join it with this process.

        Raises
        ------
        RuntimeError
            There is no node, or a cluster is joined already.
        """
        if self.address is None:
            raise RuntimeError("the cluster has no node yet: call add_node() first")
        init(address=self.address, namespace=namespace)
        self.connected = True

    def remove_node(self, node: ClusterNode, allow_graceful: bool = True) -> None:
        """End a node, at once where ``allow_graceful`` is False.

        Raises
        ------
        ValueError
            It is none of this cluster's, or this process is connected to it.
        """
        if node is not self.head_node:
            raise ValueError(f"{node!r} is no node of this cluster")
        if is_initialized() and session().info.node_manager == node.address:
            raise ValueError(
                "Removing a node that is connected to this Ray client is not allowed because it will break the driver: "
                "call shutdown() first."
            )
        node.stop(graceful=allow_graceful)
        self.head_node = None
        atexit.unregister(self.shutdown)

    def wait_for_nodes(self, timeout: float = 30) -> None:
        """Until all nodes that were added are registered: they are when `add_node` returns."""
        if self.head_node is not None and not self.head_node.any_processes_alive():
            raise TimeoutError(f"{self.head_node!r} has ended")

    def list_all_nodes(self) -> list[ClusterNode]:
        """The nodes that were added and not removed."""
        return [*self.worker_nodes, *([self.head_node] if self.head_node is not None else [])]

    def remaining_processes_alive(self) -> bool:
        """Whether all that was started runs."""
        return all(node.remaining_processes_alive() for node in self.list_all_nodes())

    def shutdown(self) -> None:
        """End all nodes. Idempotent."""
        node, self.head_node = self.head_node, None
        atexit.unregister(self.shutdown)
        self.connected = False
        if node is not None:
            node.stop()


def _node_id(info: ClusterInfo) -> str:
    with Requester(info.session_dir) as guest:
        (row,) = guest.query(info.gcs, "nodes")["rows"]
    found: str = row["node_id"]
    return found


__all__ = ["Cluster", "ClusterNode"]
