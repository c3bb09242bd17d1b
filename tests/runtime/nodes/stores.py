"""What the nodes' stores say of themselves."""

from __future__ import annotations

from typing import Any

import msgspec

from raynb.cluster_utils import ClusterNode
from raynb.runtime.api.session import connect
from raynb.runtime.messages.node import StoreUsage


def usage(node: ClusterNode) -> Any:
    """How full a node's store is."""
    return msgspec.json.decode(connect().request(node.info.node_manager, StoreUsage(0), 10))
