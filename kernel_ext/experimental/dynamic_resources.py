"""``raynb.experimental.dynamic_resources``: what Ray gave up, and says so."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["set_resource"]


def set_resource(resource_name: str, capacity: float, node_id: str | None = None) -> NoReturn:
    """Refuse to change what a node has while it runs.

    Raises
    ------
    DeprecationWarning
        Always, as in Ray.
    """
    raise DeprecationWarning(
        f"a running node's resources don't change: give {resource_name!r} to init(resources=) or raynb start "
        "--resources, or reserve what is there in a placement group"
    )
