"""Remote functions and actor classes as blobs that are addressed by their content.

The same blob is sent to a worker once. A function that was edited has another blob, and so another id: nobody ever runs
the old one by mistake. Its globals and closure are as they are when it is packed.
"""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING, Any, Final

from raynb.runtime.codec import pickling
from raynb.runtime.codec.captures import LARGE_BYTES, warn_of_function
from raynb.runtime.codec.culprit import describe, explain
from raynb.runtime.codec.errors import cause_of, could_not
from raynb.runtime.codec.references import collect_references
from raynb.runtime.messages.ids import FUNCTION_ID_BYTES

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

BYTES_MAX: Final = 95 * 1024 * 1024
"""No function may be larger: Ray's limit."""

_told: set[bytes] = set()
"""Ids of large functions that were warned of."""


def pack_function(obj: Any, held: list[object] | None = None) -> tuple[bytes, bytes]:
    """Pack a function or a class.

    Parameters
    ----------
    obj : callable or class
        What cannot be imported elsewhere goes by value, with the globals and closure variables that it uses.
    held : list, optional
        Gets what keeps the references among those variables counted (see `note_reference`). It must live as long as
        the blob may be sent.

    Returns
    -------
    function_id, blob
        16 bytes of the blob's SHA-256, and the blob.

    Raises
    ------
    SerializationError
        The message names the closure or global variable that can't be pickled.
    ValueError
        It is larger than `BYTES_MAX`.

    Warns
    -----
    LargeCaptureWarning
        The blob is large; names the variables that make it so. Once for each content.
    """
    with collect_references() as found:
        try:
            blob, buffers = pickling.dump(_InBandPickler, obj)
        except Exception as error:
            what = f"actor {describe(obj)}" if isinstance(obj, type) else describe(obj)
            raise could_not(explain(obj, what, error), error) from cause_of(error)
    assert not buffers
    if held is not None:
        held.extend(found.holders)
    if len(blob) > BYTES_MAX:
        what = "actor" if isinstance(obj, type) else "remote function"
        raise ValueError(
            f"The {what} {getattr(obj, '__name__', obj)} is too large ({len(blob) / 2**20:.0f} MiB > "
            f"FUNCTION_SIZE_ERROR_THRESHOLD={BYTES_MAX // 2**20} MiB). It captures something large: put() that, and "
            "pass the reference."
        )
    function_id = hashlib.sha256(blob).digest()[:FUNCTION_ID_BYTES]
    if len(blob) >= LARGE_BYTES and function_id not in _told:
        _told.add(function_id)
        warn_of_function(obj, len(blob))
    return function_id, blob


def unpack_function(blob: Buffer, what: str) -> Any:
    """The function or class again.

    Parameters
    ----------
    what
        For people.

    Raises
    ------
    RuntimeError
        Its cause is whatever unpickling raises: a module that it uses can't be imported here, say.
    """
    try:
        return pickle.loads(blob)
    except Exception as error:
        raise RuntimeError(
            f"{what} failed to import on the worker. This may be because needed library dependencies are not installed "
            f"in the worker environment or cannot be found from sys.path: {type(error).__name__}: {error}"
        ) from error


class _InBandPickler(pickling.ByValuePickler):
    """A blob is one piece: arrays among a function's globals lie inside it."""

    def __init__(self, file: Any, protocol: int, buffer_callback: Any = None) -> None:
        super().__init__(file, protocol)
