"""Those who wait for objects, and the effect that wakes them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Waiter:
    """A thread (or a future) that waits for some of several objects.

    ``needed`` counts down; at 0 the machine emits `Wake` once. ``wake`` belongs to the host.
    """

    __slots__ = ("early", "fails_fast", "needed", "seen", "wake")

    def __init__(self, needed: int, wake: Any, *, fails_fast: bool = False) -> None:
        self.needed = needed
        self.fails_fast = fails_fast
        """Whether one that has failed is enough."""
        self.early = False
        """Whether that has happened: others are not there yet."""
        self.seen = False
        """Whether the machine has looked, and with it all that was said before."""
        self.wake = wake


class Wake(Struct, frozen=True, gc=False):
    """Effect: what this waiter waits for is there."""

    waiter: Waiter
