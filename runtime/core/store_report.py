"""What a store says of itself to people: who fills it, who waits for it, why it is full."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from raynb.runtime.messages.sizes import size_text

HOLDERS_IN_MESSAGE = 8
_ADVICE_LARGER = "A larger store: init(object_store_memory=BYTES)."


class Holder(Struct, frozen=True):
    """Who holds how much of the store. ``owner`` is for people; ``note`` is what its objects say of themselves."""

    owner: str
    address: str
    note: str
    size: int
    objects: int


class WaitsForRoom(Struct, frozen=True):
    """A process that the store had no room for so far; ``size`` in bytes."""

    address: str
    owner: str
    size: int
    waits_s: float


def too_large(size: int, capacity_bytes: int) -> str:
    """Why something will never fit."""
    return (
        f"{size_text(size)} do not fit into the object store of this node, which has "
        f"{size_text(capacity_bytes)} in all. {_ADVICE_LARGER}"
    )


def full(
    size: int,
    usage: dict[str, int],
    holders: Iterable[Holder],
    clients: int,
    timeout_s: float,
    growth_failure: str,
    spill_failure: str,
) -> str:
    """Why something does not fit now, and what to do."""
    room = usage["capacity_bytes"] - usage["used_bytes"]
    lines = [
        f"The object store of this node is full: {size_text(size)} were asked for, "
        f"{size_text(usage['used_bytes'])} of {size_text(usage['capacity_bytes'])} are taken, "
        f"and nothing was freed within {timeout_s:g} s."
    ]
    if growth_failure:
        lines.append(f"It could not grow: {growth_failure}.")
    elif spill_failure:
        lines.append(f"Nothing could be put on disk: {spill_failure}.")
    elif room >= size:
        lines.append(f"{size_text(room)} are free, but not in one piece.")
    lines.append("Who holds most:")
    for holder in holders:
        note = f": {holder.note}" if holder.note else ""
        objects = f"{holder.objects} object{'s' * (holder.objects != 1)}"
        lines.append(f"  {size_text(holder.size)} in {objects} of {holder.owner}{note}")
    rest = usage["used_bytes"] - usage["object_bytes"]
    if rest:
        lines.append(f"  {size_text(rest)} granted to {clients} processes for objects to come")
    lines.append(
        "Delete references that are no longer needed (variables and Out[...] hold them, too, and so do arrays that "
        f"view stored memory). {_ADVICE_LARGER}"
    )
    return "\n".join(lines)
