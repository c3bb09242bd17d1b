"""What a reference gets whose object is not there any more."""

from __future__ import annotations

from raynb.runtime.messages.values import Failed


def gone(oid: bytes, why: str) -> Failed:
    """It was let go although somebody refers to it: an error of raynb's."""
    return Failed("ReferenceCountingAssertionError", f"object {oid.hex()} is gone: {why}")


def owner_died(oid: bytes) -> Failed:
    """Its owner is dead."""
    text = f"object {oid.hex()} can't be read: the process that owned it died, and its objects with it."
    return Failed("OwnerDiedError", text)
