"""A look into one object of a cluster, whoever owns it and however busy that is.

Rules
-----
* Nothing is unpickled here. Plain arrays, texts and bytes in shared memory are read where they lie. What else there is
  a worker of that cluster makes a preview of, within `WORKER_S_MAX`.
* What is read has to lie there throughout: the node manager is asked before and after, and an object that has moved
  meanwhile is looked for again. So nobody waits for an owner that computes, and nothing is shown that wasn't the
  object's.
* What lies in the memory of another node of this machine is looked at there, in the same way; the owner says where.
* A small value lives with its owner alone: if that is silent, the preview says so.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.request import Requester
from raynb.runtime.codec.arrays import ArrayHead, assemble
from raynb.runtime.codec.errors import CorruptObjectError
from raynb.runtime.codec.peek import array_head, is_text
from raynb.runtime.messages.node import LocateObject
from raynb.runtime.messages.objects import Place
from raynb.runtime.messages.screen import ObjectPreview
from raynb.runtime.messages.text import clean, clean_lines
from raynb.runtime.messages.values import Failed, Inline, Stored
from raynb.runtime.worker.previews import (
    HEX_BYTES_MAX,
    TEXT_CHARS_MAX,
    Paged,
    hex_dump,
    preview_packed,
    preview_stored,
)
from raynb.server_extension.guests import Guest, Guests, at_node

WORKER_S_MAX: Final = 10.0
OWNER_S_MAX: Final = 2.0
ANSWER_S_MAX: Final = 5.0
PICKLE_BYTES_MAX: Final = 64 * 1024 * 1024
HEAD_BYTES_MAX: Final = 4096
TRIES: Final = 3
MOVED: Final = "It moved while it was looked at: try again."


class NoSuchObject(LookupError):
    """No process of the cluster has it."""


def preview(guests: Guests, entry: ClusterEntry, oid: bytes, first: int, at: tuple[int, ...]) -> ObjectPreview:
    """Look into an object.

    Raises
    ------
    NoSuchObject
        There is none with this id.
    ValueError
        ``at`` are no indices of it.
    """
    paged = first, at
    with guests.of(entry) as guest, Requester(entry.session_dir) as asker:
        return _here(guest, asker, entry, oid, paged) or _small(guests, guest, asker, entry, oid, paged)


def _here(guest: Guest, asker: Requester, entry: ClusterEntry, oid: bytes, paged: Paged) -> ObjectPreview | None:
    """What lies in this node's memory; None: it doesn't."""
    for _ in range(TRIES):
        place = _locate(asker, entry, oid)
        if place is None:
            return None
        try:
            found = _stored(guest, oid, place, paged)
        except (CorruptObjectError, FileNotFoundError, _Moved):
            continue
        if _locate(asker, entry, oid) == place:
            return found
    return nothing(MOVED)


def warm_up() -> None:
    """Load what a look into an array takes (numpy), before somebody waits for it."""
    import raynb.runtime.codec.array_preview  # noqa: F401


class _Moved(Exception):
    """It isn't where it was."""


def nothing(note: str, kind: str = "", size: int = 0) -> ObjectPreview:
    """Why there is nothing to show."""
    return ObjectPreview(kind="none", type=kind, bytes=size, note=clean(note))


def _locate(asker: Requester, entry: ClusterEntry, oid: bytes) -> Place | None:
    try:
        reply = asker.ask(entry.address, LocateObject(asker.number(), oid), ANSWER_S_MAX)
    except KeyError:
        return None
    return msgspec.json.decode(reply.data, type=Place)


# -- in shared memory


def _stored(guest: Guest, oid: bytes, place: Place, paged: Paged) -> ObjectPreview:
    try:
        data, buffers = guest.parts(place.segment, place.offset, place.size, oid)
    except ValueError as error:
        raise _Moved from error
    head = array_head(data) if data.nbytes <= HEAD_BYTES_MAX else None
    if head is not None:
        return _array(head, buffers, place.size, paged)
    if buffers and (kind := is_text(data)):
        return _long_text(kind, buffers[0])
    if data.nbytes > PICKLE_BYTES_MAX:
        return nothing(f"Its pickle has {data.nbytes:,} bytes: too many to be read for a look.", size=place.size)
    return _by_worker(guest, preview_stored, oid, place.segment, place.offset, place.size, *paged)


def _array(head: ArrayHead, buffers: Any, size: int, paged: Paged) -> ObjectPreview:
    # numpy is loaded when somebody looks at a cluster (`warm_up`), not with the server.
    from raynb.runtime.codec.array_preview import array_preview

    dtype, shape, fortran = head
    return array_preview(assemble(buffers[0], dtype, shape, fortran), size, *paged)


def _long_text(kind: str, buffer: memoryview) -> ObjectPreview:
    size = buffer.nbytes
    if kind == "bytes":
        note = f"The first {HEX_BYTES_MAX:,} of {size:,} bytes." if size > HEX_BYTES_MAX else ""
        text = hex_dump(bytes(buffer[:HEX_BYTES_MAX]))
        return ObjectPreview(kind="bytes", type="bytes", bytes=size, shape=[size], text=text, note=note)
    text = bytes(buffer[: 4 * TEXT_CHARS_MAX]).decode("utf-8", "replace")[:TEXT_CHARS_MAX]
    note = f"The first {len(text):,} characters of {size:,} bytes." if len(text) < size else ""
    return ObjectPreview(kind="text", type="str", bytes=size, text=clean_lines(text), note=note)


def _by_worker(guest: Guest, work: Any, *args: Any) -> ObjectPreview:
    try:
        data = guest.have_done(work, args, WORKER_S_MAX)
    except TimeoutError:
        return nothing(f"It could not be shown within {WORKER_S_MAX:g} s: unpickling or drawing it takes longer.")
    except RuntimeError as error:
        return nothing(f"The worker that looked at it failed: {error}"[:1000])
    return msgspec.json.decode(data, type=ObjectPreview)


# -- with its owner


def _small(
    guests: Guests, guest: Guest, asker: Requester, entry: ClusterEntry, oid: bytes, paged: Paged
) -> ObjectPreview:
    found = asker.query(entry.gcs_address, "objects", id=oid.hex(), limit=1, detail=True, timeout_s=ANSWER_S_MAX)
    if not found["rows"]:
        if found["unanswered"]:
            silent = f"{found['unanswered']} process(es) of this cluster do not answer: they compute, or stand still"
            return nothing(f"A small value lives with its owner alone, and {silent}.")
        raise NoSuchObject(f"there is no object {oid.hex()}: it was let go of, or was never there")
    (row,) = found["rows"]
    kind, size = row["value_type"], row["object_size"]
    if row["state"] == "PENDING":
        return nothing("It is not there yet: its task has not finished.")
    if row["state"] == "FAILED":
        return nothing("There is no value: its task has failed. Its error is in the table of tasks.")
    try:
        with guest.borrowed(oid, row["owner"], OWNER_S_MAX) as value:
            if isinstance(value, Failed):
                return nothing(f"There is no value: {value.message}"[:1000])
            if isinstance(value, Stored):
                return _elsewhere(guests, entry, value, paged)
            return _inline(guest, value, size, paged)
    except TimeoutError:
        return nothing("Its owner does not answer, and a small value lives there alone.", kind, size)


def _elsewhere(guests: Guests, entry: ClusterEntry, value: Stored, paged: Paged) -> ObjectPreview:
    """What lies in another node's memory, looked at there: nothing is copied for a look."""
    there = at_node(entry, value.node)
    if there is None:
        return nothing("It lies on another machine.", str(value.kind or ""), value.size)
    with guests.of(there) as guest, Requester(there.session_dir) as asker:
        return _here(guest, asker, there, value.oid, paged) or nothing(MOVED)


def _inline(guest: Guest, value: Inline, size: int, paged: Paged) -> ObjectPreview:
    head = array_head(value.data)
    if head is not None and value.buffers:
        return _array(head, [memoryview(buffer) for buffer in value.buffers], size, paged)
    if value.buffers and (kind := is_text(value.data)):
        return _long_text(kind, memoryview(value.buffers[0]))
    return _by_worker(guest, preview_packed, value.data, value.buffers, *paged)
