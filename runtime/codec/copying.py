"""Copying bytes as fast as memory goes.

Measured: one thread copies at 11-12 GB/s into warm pages, two at 15-16; a slice assignment is as fast as ``memmove``
but keeps every other thread of the interpreter waiting.
"""

from __future__ import annotations

import ctypes
import os
import threading

from raynb.runtime.codec.pinned import address_of

RELEASE_BYTES_MIN = 256 * 1024
"""From this size on other threads may run meanwhile."""
TWO_THREADS_BYTES_MIN = 16 * 1024 * 1024
"""From this size on a second thread (80 us to start) pays."""
PIECE_BYTES = 4 * 1024 * 1024


def copy_bytes(to: memoryview, source: memoryview) -> None:
    """Copy ``source`` to ``to``: both flat bytes, of the same length, not overlapping."""
    size = source.nbytes
    if size < RELEASE_BYTES_MIN:
        to[:] = source
        return
    if to.nbytes != size or to.readonly:
        raise ValueError(f"{size} bytes do not go into {to.nbytes}{' read-only' * to.readonly} ones")
    to_address, from_address = address_of(to), address_of(source)
    if size < TWO_THREADS_BYTES_MIN or len(os.sched_getaffinity(0)) < 2:
        ctypes.memmove(to_address, from_address, size)
        return
    # Pieces are taken in turn, so that a second thread that gets no processor costs a piece at most.
    pieces = iter(range(0, size, PIECE_BYTES))

    def take_pieces() -> None:
        for at in pieces:
            ctypes.memmove(to_address + at, from_address + at, min(PIECE_BYTES, size - at))

    second = threading.Thread(target=take_pieces, name="raynb-copy", daemon=True)
    try:
        second.start()
    except RuntimeError:
        # No more threads are to be had.
        take_pieces()
        return
    try:
        take_pieces()
    finally:
        # After an interrupt, too, nobody may go on writing to memory that is given up.
        for _ in pieces:
            pass
        second.join()
