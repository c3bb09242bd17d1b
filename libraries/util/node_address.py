"""Where this process's node is reached."""

from __future__ import annotations

import socket

from raynb.runtime.api.cluster import query
from raynb.runtime.api.session import connect, is_initialized


def get_node_ip_address(address: str | None = None) -> str:
    """This machine's IP address: what its node has told the cluster, or how it would reach ``address``.

    Parameters
    ----------
    address
        ``host:port`` of something that is reached over the network; nothing is sent there.
    """
    if address is None and is_initialized():
        mine = connect().joined.node_id.hex()
        for row in query("nodes", limit=10_000)["rows"]:
            if row["node_id"] == mine:
                found: str = row["node_ip"]
                return found
    host, _, port = (address or "192.0.2.1:53").rpartition(":")  # an address that nobody has (RFC 5737)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
