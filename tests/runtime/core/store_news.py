"""News of a store, as a node manager tells it."""

from __future__ import annotations

from raynb.runtime.messages.store_events import StoredObjects, StoreEvents


def store_events(*events: tuple[int, int, int, float, float], dropped: int = 0, other: str = "") -> StoreEvents:
    """(number, kind, state, started, ended) of 64 bytes each."""
    numbers, kinds, states, started, ended = zip(*events, strict=True)
    count = len(events)
    return StoreEvents(
        list(numbers), bytes(kinds), bytes(states), [b""] * count, [64] * count, [other] * count, ["worker 1"] * count,
        list(started), list(ended), dropped,
    )  # fmt: skip


def stored(
    *made: tuple[bytes, float], freed: tuple[tuple[bytes, float], ...] = (), reset: bool = False
) -> StoredObjects:
    """(object, when) of 1,000 bytes each."""
    count = len(made)
    return StoredObjects(
        [oid for oid, _ in made], [at for _, at in made], [1000] * count, [0] * count, [1] * count, [None] * count,
        bytes(count), ["driver", "ndarray"], [oid for oid, _ in freed], [at for _, at in freed], reset,
    )  # fmt: skip
