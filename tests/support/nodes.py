"""A real cluster of several small nodes on this machine for a while, that must leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import raynb
from raynb.cluster_utils import Cluster, ClusterNode
from tests.support.cluster import start_pyzmqs_own_thread
from tests.support.leaks import Before
from tests.support.waiting import wait_until

STORE_BYTES = 64 * 2**20


class Nodes:
    """A cluster with a head of one CPU, which this process has joined, and nodes as they are added.

    Attributes
    ----------
    cluster
        As programs have it.
    head
        Its first node.
    """

    def __init__(self, **head: Any) -> None:
        self.sessions: list[str] = []
        self.cluster = Cluster()
        self.head = self.add(**{"num_cpus": 1, **head})

    def add(self, **options: Any) -> ClusterNode:
        """One more node; of one CPU and a small store, if it is not said otherwise."""
        node = self.cluster.add_node(**{"object_store_memory": STORE_BYTES, **options})
        self.sessions.append(Path(node.info.session_dir).name)
        if raynb.is_initialized():
            wait_until(lambda: node.node_id in self.alive(), what=f"{node!r} is there")
        return node

    def kill(self, node: ClusterNode) -> None:
        """SIGKILL its manager, and wait until the cluster knows."""
        self.cluster.remove_node(node, allow_graceful=False)
        wait_until(lambda: node.node_id not in self.alive(), what=f"{node!r} is dead")

    @staticmethod
    def alive() -> set[str]:
        """Ids of the nodes that the cluster has."""
        return {row["NodeID"] for row in raynb.nodes() if row["Alive"]}


@contextmanager
def several_nodes(**head: Any) -> Iterator[Nodes]:
    """Start a head node (options of `Cluster.add_node`) and join it; end all nodes, and look for what they left."""
    start_pyzmqs_own_thread()
    before = Before.now()
    nodes = Nodes(**head)
    try:
        raynb.init(address=nodes.cluster.address, namespace="spec")
        yield nodes
    finally:
        raynb.shutdown()
        nodes.cluster.shutdown()
    for session in nodes.sessions:
        before.assert_nothing_left(session)
