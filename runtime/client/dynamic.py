"""What a task with ``num_returns="dynamic"`` returns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from raynb.runtime.client.refs import ObjectRef


class DynamicObjectRefGenerator:
    """The references of a generator's items, which have all been made. Iterating takes them out, one by one."""

    def __init__(self, refs: Iterable[ObjectRef[Any]]) -> None:
        self._refs = deque(refs)

    def __iter__(self) -> Iterator[ObjectRef[Any]]:
        while self._refs:
            yield self._refs.popleft()

    def __len__(self) -> int:
        return len(self._refs)
