"""What a reference gets whose object is not there any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.lineage import Kept
    from raynb.runtime.core.ownership import Entry

PUT: Final = "OBJECT_UNRECONSTRUCTABLE_PUT"
RETRIES_DISABLED: Final = "OBJECT_UNRECONSTRUCTABLE_RETRIES_DISABLED"
MAX_ATTEMPTS_EXCEEDED: Final = "OBJECT_UNRECONSTRUCTABLE_MAX_ATTEMPTS_EXCEEDED"
LINEAGE_EVICTED: Final = "OBJECT_UNRECONSTRUCTABLE_LINEAGE_EVICTED"
NOT_KEPT: Final = "OBJECT_UNRECONSTRUCTABLE_REF_NOT_FOUND"
ACTOR_DIED: Final = "ACTOR_DIED"

WHY: Final = {
    PUT: "it was made by put(), so no task can make it again. Return the value from a task instead.",
    RETRIES_DISABLED: "the {call} that made it must not run again. Allow it by {retries}=N.",
    MAX_ATTEMPTS_EXCEEDED: "the {call} that made it has run as often as it may. Allow it more by {retries}=N.",
    LINEAGE_EVICTED: "the call that made it was forgotten to save memory. Keep more by "
    'init(_system_config={{"lineage_bytes_max": BYTES}}).',
    NOT_KEPT: "an input of the task that made it is there no longer: an actor, a value that another process owns, or "
    "(on one machine) that was put. Hold a reference to it.",
    ACTOR_DIED: "the actor that made it is dead, and may not be started (once more). Allow it by max_restarts=N. "
    "One that is not this process's own is started again only while a handle is held.",
}
"""Words for why a value can't be made again, and what to do."""


def gone(oid: bytes, why: str) -> Failed:
    """It was let go although somebody refers to it: an error of raynb's."""
    return Failed("ReferenceCountingAssertionError", f"object {oid.hex()} is gone: {why}")


def owner_died(oid: bytes) -> Failed:
    """Its owner is dead."""
    text = f"object {oid.hex()} can't be read: the process that owned it died, and its objects with it."
    return Failed("OwnerDiedError", text)


def unmakeable(oid: bytes, entry: Entry, kept: Kept | None, where: str, reason: str = "", site: str = "") -> Failed:
    """Its value is lost and can't be made again.

    Parameters
    ----------
    where
        What became of the last place that had it, as a part of a sentence.
    reason
        One of `WHY`; empty: it follows from what is known of the object.
    site
        Where it was called, if that is noted.
    """
    function = entry.function
    if not reason:
        reason = _reason(entry, kept)
    is_call = function is not None and bool(function.actor_id)
    call = "actor's method" if is_call else "task"
    why = WHY[reason].format(call=call, retries="max_task_retries" if is_call else "max_retries")
    site = site or (f"called at {function.call_site}" if function is not None and function.call_site else "")
    made = f" (of {function.name}, {site})" if function is not None and site else ""
    lost = f"Its value is lost: {where}." if where else "Its value is lost."
    text = f"object {oid.hex()}{made} can't be read. {lost}\n[{reason}] It can't be made again: {why}"
    return Failed("ObjectReconstructionFailedError", text)


def _reason(entry: Entry, kept: Kept | None) -> str:
    if kept is not None and kept.evicted:
        return LINEAGE_EVICTED
    if entry.function is None:
        return PUT
    never = kept is None and (entry.function.max_retries == 0 or entry.function.actor_id)
    return RETRIES_DISABLED if never else MAX_ATTEMPTS_EXCEEDED
