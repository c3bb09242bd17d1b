"""``raynb.cluster_utils.Cluster``: a cluster of several nodes for tests, which a program joins by its address.

All its nodes are on this machine, each with its own processes, its own store and as many CPUs as it is said to have.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from raynb._private.gcs_client import GcsClientOptions
from raynb._private.processes import ProcessHandle, ProcessInfo, daemons_of, kill_all
from raynb._private.ray_constants import PROCESS_TYPE_GCS_SERVER
from raynb._private.state import GlobalState
from raynb.runtime.adapters.daemon_process import DaemonProcess
from raynb.runtime.adapters.launch import ClusterInfo, ClusterOptions, launch_cluster
from raynb.runtime.adapters.processes import Process
from raynb.runtime.adapters.request import Requester
from raynb.runtime.adapters.session_dir import sweep
from raynb.runtime.api import init_arguments, without_effect
from raynb.runtime.api.init_arguments import check_custom_resources, with_spilling_directory
from raynb.runtime.api.session import init, is_initialized, session
from raynb.runtime.api.system_config import config_of
from raynb.runtime.messages.node import StopNode

NODE_DEFAULTS: Final = {"num_cpus": 1, "object_store_memory": 150 * 2**20}
"""As Ray's: a test's node is small."""

cluster_not_supported: Final = False
"""Whether this machine can't have such clusters; where raynb runs, it can."""
STOP_PATIENCE_S: Final = 10.0
GCS_PATIENCE_S: Final = 30.0


class ClusterNode:
    """One node of a cluster.

    Attributes
    ----------
    node_id : str
        In hex.
    address, gcs_address : str
        What `init` takes.
    """

    def __init__(self, info: ClusterInfo, *, head: bool) -> None:
        self.info = info
        self.node_id = self.unique_id = info.node_id
        self.address = self.raylet_socket_name = info.node_manager
        self.gcs_address = info.gcs
        self.node_ip_address = info.node_ip
        self.head = head
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

    @property
    def all_processes(self) -> dict[str, list[ProcessInfo]]:
        """Its daemons, by kind."""
        return daemons_of(self.info.pid)

    def live_processes(self) -> list[tuple[str, ProcessHandle]]:
        """Its daemons, each with its kind."""
        return [(kind, info.process) for kind, infos in self.all_processes.items() for info in infos]

    def get_session_dir_path(self) -> str:
        """Where its logs and sockets are."""
        return self.info.session_dir

    def get_logs_dir_path(self) -> str:
        """Where its logs are."""
        return str(Path(self.info.session_dir) / "logs")

    def kill_raylet(self, check_alive: bool = True) -> None:
        """Kill its node manager, with which all else of it ends. ``check_alive`` is without effect."""
        self.stop(graceful=False)

    def kill_gcs_server(self, check_alive: bool = True) -> None:
        """Kill its GCS; the node manager starts another one at once. ``check_alive`` is without effect."""
        kill_all(self.all_processes[PROCESS_TYPE_GCS_SERVER])

    def start_gcs_server(self) -> None:
        """Return when the GCS answers that was started in the place of a killed one.

        Raises
        ------
        RpcError
            It does not within 30 seconds.
        """
        with Requester(self.info.session_dir) as guest:
            guest.query(self.gcs_address, "nodes", timeout_s=GCS_PATIENCE_S)

    def kill_all_processes(self, check_alive: bool = True, allow_graceful: bool = False, wait: bool = False) -> None:
        """End all that belongs to it. ``wait`` is without effect: it has ended when this returns."""
        if check_alive and not self.any_processes_alive():
            raise RuntimeError(f"{self!r} has ended already")
        self.stop(graceful=allow_graceful)

    def stop(self, *, graceful: bool = True) -> None:
        """End it, and wait until it has ended: asked first, or killed at once."""
        if not self.any_processes_alive():
            sweep(str(Path(self.info.session_dir).parent.parent))
        elif not (graceful and self._ends_when_asked()):
            self.process.signal(signal.SIGKILL)
            self.process.wait(STOP_PATIENCE_S)
            # It could not clean up behind itself.
            sweep(str(Path(self.info.session_dir).parent.parent))

    def _ends_when_asked(self) -> bool:
        deadline = time.monotonic() + STOP_PATIENCE_S
        with suppress(OSError), Requester(self.info.session_dir) as guest:
            while self.any_processes_alive() and time.monotonic() < deadline:
                guest.send(self.info.node_manager, StopNode("its Cluster was shut down"))
                if self.process.wait(0.5) is not None:
                    return True
        return False


class Cluster:
    """A cluster that lives until `shutdown`, whoever joins and leaves it: this process with ``init()`` alone.

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

    @property
    def global_state(self) -> GlobalState:
        """What it is and does."""
        state = GlobalState()
        state._initialize_global_state(GcsClientOptions.create(self.address or ""))
        return state

    def add_node(self, wait: bool = True, **node_args: Any) -> ClusterNode:
        """Start a node; the first one is the head.

        Parameters
        ----------
        wait
            Without effect: it is there when this returns.
        **node_args
            ``num_cpus`` (1), ``num_gpus``, ``resources``, ``labels``, ``object_store_memory`` (150 MiB), ``node_name``,
            ``env_vars`` (of its processes, beside those of this one), and of the head ``_system_config`` and
            ``object_spilling_directory``, which hold for all.

        Raises
        ------
        ValueError
            An argument that is not known, or is the head's alone.
        AssertionError
            An amount among the ``resources`` has an argument of its own.
        """
        given = {**NODE_DEFAULTS, **node_args}
        known = {name: given.pop(name, None) for name in ("num_cpus", "num_gpus", "object_store_memory")}
        if known["object_store_memory"] is not None:
            known["object_store_memory"] = int(known["object_store_memory"])
        known["node_name"] = given.pop("node_name", None) or ""
        resources, labels = given.pop("resources", None) or {}, given.pop("labels", None)
        check_custom_resources(resources)
        if (memory := given.pop("memory", None)) is not None:
            resources = {**resources, "memory": memory}
        changes = with_spilling_directory(given.pop("_system_config", None), given)
        env_vars = given.pop("env_vars", None) or {}
        # What is lost is always made again.
        given.pop("enable_object_reconstruction", None)
        if unknown := sorted(given.keys() - without_effect.OF_NODE):
            raise ValueError(f"add_node() does not know {', '.join(unknown)} in raynb")
        without_effect.tell("Cluster.add_node({name}={value!r})", given, without_effect.OF_NODE)
        head = self.head_node
        if head is not None and changes:
            raise ValueError(
                "_system_config is of the whole cluster: give it to the head node, the first that is added"
            )
        options = ClusterOptions(
            **known,
            resources={name: float(amount) for name, amount in resources.items()},
            labels=dict(labels or {}),
            config=head.info.config if head is not None else config_of(changes),
            lifetime="daemon",
            join=head.info if head is not None else None,
            temp_dir=str(Path(head.info.session_dir).parent.parent) if head is not None else "",
        )
        daemon = DaemonProcess(env={**os.environ, **{name: str(value) for name, value in env_vars.items()}})
        node = ClusterNode(launch_cluster(options, daemon=daemon), head=head is None)
        if head is not None:
            self.worker_nodes.add(node)
            return node
        self.head_node = node
        init_arguments.own_cluster = node.info.session
        if self._shutdown_at_exit:
            atexit.register(self.shutdown)
        return node

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
        """End a node, at once where ``allow_graceful`` is False. What runs there is killed in either case.

        Raises
        ------
        ValueError
            It is none of this cluster's, or this process is connected to it.
        """
        if node is not self.head_node and node not in self.worker_nodes:
            raise ValueError(f"{node!r} is no node of this cluster")
        if is_initialized() and session().info.node_manager == node.address:
            raise ValueError(
                "Removing a node that is connected to this Ray client is not allowed because it will break the driver: "
                "call shutdown() first, or remove another one."
            )
        node.stop(graceful=allow_graceful)
        node.process.close()
        if node is self.head_node:
            self.head_node = None
            atexit.unregister(self.shutdown)
        self.worker_nodes.discard(node)

    def wait_for_nodes(self, timeout: float = 30) -> None:
        """Until the cluster has those nodes that were added and not removed, and no others.

        Raises
        ------
        TimeoutError
            It has not, after so many seconds.
        """
        nodes = self.list_all_nodes()
        deadline = time.monotonic() + timeout
        while nodes:
            if ended := [node for node in nodes if not node.any_processes_alive()]:
                raise TimeoutError(f"{ended[0]!r} has ended")
            if self.head_node is None:
                raise TimeoutError("the cluster has no head node any more")
            with Requester(self.head_node.info.session_dir) as guest:
                rows = guest.query(self.head_node.gcs_address, "nodes", limit=10_000)["rows"]
            there = {row["node_id"] for row in rows if row["state"] == "ALIVE"}
            if there == {node.node_id for node in nodes}:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the cluster has {len(there)} nodes, not {len(nodes)}, after {timeout:g} s")
            time.sleep(0.02)

    def list_all_nodes(self) -> list[ClusterNode]:
        """The nodes that were added and not removed, the head first."""
        return [*([self.head_node] if self.head_node is not None else []), *self.worker_nodes]

    def remaining_processes_alive(self) -> bool:
        """Whether all that was started runs."""
        return all(node.remaining_processes_alive() for node in self.list_all_nodes())

    def shutdown(self) -> None:
        """End all nodes, the head last. Idempotent."""
        nodes = self.list_all_nodes()
        self.head_node, self.worker_nodes = None, set()
        atexit.unregister(self.shutdown)
        self.connected = False
        for node in reversed(nodes):
            node.stop()
            node.process.close()


class AutoscalingCluster:
    """Ray's cluster that grows by itself: raynb has none."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise NotImplementedError(
            "raynb has no autoscaler, so there is no cluster_utils.AutoscalingCluster: add nodes to a Cluster with "
            "add_node(), or change the CPUs of one with raynb.scale()"
        )


__all__ = ["AutoscalingCluster", "Cluster", "ClusterNode"]
