"""Addresses, under the names of ``ray._private.services``."""

from __future__ import annotations

import random

from raynb.util.node_address import get_node_ip_address

__all__ = ["get_node_ip_address", "new_port"]


def new_port(lower_bound: int = 10000, upper_bound: int = 65535, denylist: set[int] | None = None) -> int:
    """Some port."""
    return random.choice([port for port in range(lower_bound, upper_bound) if port not in (denylist or ())])
