"""A picture as a PNG, without any library of pictures."""

from __future__ import annotations

import base64
import struct
import zlib

_COLOUR = {1: 0, 3: 2, 4: 6}
"""Channels -> the format's number for them."""


def png(pixels: bytes, width: int, height: int, channels: int) -> bytes:
    """Encode.

    Parameters
    ----------
    pixels
        Bytes of all rows, from the top; 1 (grey), 3 (RGB) or 4 (with opacity) for each pixel.
    """
    stride = width * channels
    if len(pixels) != stride * height:
        raise ValueError(f"{len(pixels)} bytes are no picture of {width} x {height} x {channels}")
    rows = b"".join(b"\0" + pixels[at : at + stride] for at in range(0, len(pixels), stride)) if stride else b""
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 3)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def data_url(data: bytes, kind: str = "image/png") -> str:
    """As the address of an ``<img>``."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
