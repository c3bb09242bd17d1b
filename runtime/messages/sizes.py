"""Bytes as people are told them, everywhere in the same way."""

from __future__ import annotations

_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def size_text(nbytes: float) -> str:
    """``0 B``, ``800 B``, ``8.0 MB``: in powers of a thousand, as the options of `init` and `%%remote` read them."""
    for unit, factor in _UNITS:
        # What would be written as 1000.0 of a unit is 1.0 of the next.
        if nbytes >= 0.99995 * factor:
            return f"{nbytes / factor:,.1f} {unit}"
    return f"{nbytes:.0f} B"
