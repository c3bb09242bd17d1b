"""Where a task's inputs lie: a task with large ones goes to them, if most of that is on one other node.

Rules
-----
1. Values in shared memory count, by their bytes, at each node that has them: copies are as good as the first. Small
   ones travel with the task anyway.
2. A node is preferred if it has more of a task's inputs than this process's own node, and `WORTH_BYTES` at least (or
   more than travels with the task, where that is less).
3. It is a preference: the task waits in a pool whose home is that node's manager, which sends on what finds no room.
   A strategy of the task's own goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from raynb.runtime.messages.values import Stored, Value

WORTH_BYTES: Final = 100_000

Copies = Mapping[bytes, Mapping[str, Stored]]
"""By object and by node, beside the place that its value tells."""
NO_COPIES: Final[Copies] = {}


def home_of(
    values: Iterable[Value | None], here: str, worth_bytes: int = WORTH_BYTES, copies: Copies = NO_COPIES
) -> str:
    """The manager of the node to which these inputs draw a task; empty: it may as well run here."""
    there: dict[str, int] = {}
    for value in values:
        if type(value) is Stored:
            for node in {value.node: None, **copies.get(value.oid, {})}:
                there[node] = there.get(node, 0) + value.size
    if not there:
        return ""
    best = max(there, key=lambda manager: there[manager])
    worth = there[best] >= worth_bytes and there[best] > there.get(here, 0)
    return best if worth and best != here else ""
