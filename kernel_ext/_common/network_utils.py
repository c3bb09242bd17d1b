"""Addresses and ports, under the names of ``ray._common.network_utils``."""

from __future__ import annotations

import socket

__all__ = ["build_address", "find_free_port", "get_localhost_ip", "is_ipv6", "is_localhost", "parse_address"]


def find_free_port(family: socket.AddressFamily = socket.AF_INET) -> int:
    """A port that nobody uses now."""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind(("", 0))
        port: int = sock.getsockname()[1]
        return port


def build_address(host: str, port: int | str) -> str:
    """``host:port``, with brackets around an address of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(address: str) -> tuple[str, str] | None:
    """Host and port of ``host:port``; None where there is no port."""
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return None
    return host.strip("[]"), port


def is_ipv6(host: str) -> bool:
    """Whether it is an address of IPv6."""
    try:
        socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return False
    return True


def get_localhost_ip() -> str:
    """This machine's own address, for itself."""
    return "127.0.0.1"


def is_localhost(host: str) -> bool:
    """Whether it is this machine's own address for itself."""
    return host in ("localhost", "127.0.0.1", "::1")
