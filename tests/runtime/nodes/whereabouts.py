"""Tasks and actors that tell on which node they run."""

from __future__ import annotations

from collections.abc import Callable

import raynb


@raynb.remote
def where() -> str:
    return raynb.get_runtime_context().get_node_id()


@raynb.remote
def where_behind(through: Callable[[], None], *data: object) -> str:
    through()
    return raynb.get_runtime_context().get_node_id()


class Counting:
    """For actors that tell whether they were started anew, too."""

    def __init__(self) -> None:
        self.count = 0

    def where(self) -> str:
        return raynb.get_runtime_context().get_node_id()

    def add(self) -> int:
        self.count += 1
        return self.count
