"""What a machine asks its host to do. A machine's ``handle(event, now)`` returns a list of these, in order.

The host carries them out in that order. Effects that only one machine has stand beside it; these are shared.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages import Message


class Send(Struct, frozen=True, gc=False):
    """Send a message to the process at an address. It may be lost if that process dies; then `ProcessDied` says so."""

    to: str
    message: Message


class Received(Struct, frozen=True, gc=False):
    """Event: a message arrived. ``sender`` is the address of the process that sent it."""

    sender: str
    message: Message


class Tick(Struct, frozen=True, gc=False):
    """Event: time has passed. Hosts send one at least each ``Config.tick_s`` while the machine waits for something."""
