"""A look into an array, however large it is: a page of its values, a histogram, a picture where it is one.

At most some `READ_BYTES_MAX` are read of it, by strides and samples; what was left out is said. No value's own code
runs: arrays of objects are not for this.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from raynb.runtime.codec.png import data_url, png
from raynb.runtime.messages.screen import Histogram, ObjectPreview
from raynb.runtime.messages.text import clean

READ_BYTES_MAX: Final = 8 * 1024 * 1024
"""An array no larger is read as a whole; of others this for the parts."""
ROWS_BYTES: Final = READ_BYTES_MAX // 8
SAMPLE_BYTES: Final = READ_BYTES_MAX // 4
PICTURE_BYTES: Final = READ_BYTES_MAX * 5 // 8
ROWS_MAX: Final = 50
COLUMNS_MAX: Final = 20
BINS: Final = 40
SAMPLE_BLOCKS: Final = 32
PICTURE_SIDE_MAX: Final = 512
PICTURE_SIDE_MIN: Final = 16
PICTURE_ASPECT_MAX: Final = 20
PAGE_BYTES: Final = 4096
CELL_CHARS_MAX: Final = 60


def array_preview(array: Any, size: int, offset: int, at: tuple[int, ...]) -> ObjectPreview:
    """Look into an array.

    Parameters
    ----------
    array
        A `numpy.ndarray` without Python objects.
    size
        What it takes in the store, in bytes.
    offset
        The first row.
    at
        Indices of its leading dimensions, all but the last two; what is missing is 0.

    Raises
    ------
    ValueError
        There are no such indices.
    """
    notes: list[str] = []
    leading = _indices(array, at)
    plane = array[leading] if leading else array
    offset = max(0, offset)
    total = plane.shape[0] if plane.ndim else 1
    rows = _rows(plane, offset, notes)
    histogram, sampled = _histogram(array)
    if sampled:
        notes.append(sampled)
    return ObjectPreview(
        kind="array",
        type="numpy.ndarray",
        bytes=size,
        shape=list(array.shape),
        dtype=str(array.dtype),
        rows=rows,
        at=list(leading),
        offset=offset,
        total=total,
        histogram=histogram,
        image=_picture(array),
        note=" ".join(notes),
    )


def _indices(array: Any, at: tuple[int, ...]) -> tuple[int, ...]:
    count = max(0, array.ndim - 2)
    if len(at) > count:
        raise ValueError(f"an array of {array.ndim} dimensions is shown at {count} indices, not {len(at)}")
    full = (*at, *([0] * (count - len(at))))
    for axis, (index, length) in enumerate(zip(full, array.shape, strict=False)):
        if not 0 <= index < max(1, length):
            raise ValueError(f"index {index} is out of range: dimension {axis} has {length}")
    return full if 0 not in array.shape[:count] else ()


def _rows(plane: Any, offset: int, notes: list[str]) -> list[list[str]]:
    if not plane.ndim:
        return [[_cell(plane[()])]]
    if plane.size == 0:
        return []
    columns = min(plane.shape[1], COLUMNS_MAX) if plane.ndim > 1 else 1
    count = max(1, min(ROWS_MAX, ROWS_BYTES // max(1, columns * plane.itemsize)))
    part = plane[offset : offset + count]
    if plane.ndim == 1:
        return [[_cell(value)] for value in part]
    if plane.shape[1] > COLUMNS_MAX:
        notes.append(f"The first {COLUMNS_MAX} of {plane.shape[1]:,} columns.")
    return [[_cell(value) for value in row[:COLUMNS_MAX]] for row in part]


def _cell(value: Any) -> str:
    if isinstance(value, np.floating | float | np.complexfloating):
        return f"{value:.6g}"
    if isinstance(value, np.void):
        return clean(str(value.item()))[:CELL_CHARS_MAX]
    return clean(str(value))[:CELL_CHARS_MAX]


# -- the histogram


def _histogram(array: Any) -> tuple[Histogram | None, str]:
    """And what it is of, where that isn't all."""
    if array.dtype.kind not in "biuf" or array.size == 0:
        return None, ""
    sample, said = _sample(array)
    values = sample.astype(np.float64, copy=False)
    finite = values[np.isfinite(values)]
    left_out = int(values.size - finite.size)
    if not finite.size:
        return Histogram([], 0.0, 0.0, left_out), said
    low, high = float(finite.min()), float(finite.max())
    with np.errstate(all="ignore"):
        if low == high or not np.isfinite(high - low):
            return Histogram([int(finite.size)], low, high, left_out), said
        whole = array.dtype.kind in "biu" and high - low < BINS
        counts, _ = np.histogram(finite, int(high - low) + 1 if whole else BINS, (low, high))
    return Histogram([int(count) for count in counts], low, high, left_out), said


def _sample(array: Any) -> tuple[Any, str]:
    """All values, or those of blocks that lie evenly over it."""
    flat = array.ravel(order="K") if array.flags.c_contiguous or array.flags.f_contiguous else None
    if flat is None or array.nbytes <= READ_BYTES_MAX:
        return array.ravel(), ""
    block = max(1, SAMPLE_BYTES // SAMPLE_BLOCKS // array.itemsize)
    starts = [int(start) for start in np.linspace(0, flat.size - block, SAMPLE_BLOCKS)]
    sample = np.concatenate([flat[start : start + block] for start in starts])
    return sample, f"The histogram is of {sample.size:,} of {flat.size:,} values, spread evenly."


# -- the picture


def _picture(array: Any) -> str:
    """Where it looks like one: two dimensions, or three with 1, 3 or 4 channels."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.dtype.kind not in "biuf":
        return ""
    height, width = array.shape[:2]
    if min(height, width) < PICTURE_SIDE_MIN or max(height, width) > PICTURE_ASPECT_MAX * min(height, width):
        return ""
    step = -(-max(height, width) // PICTURE_SIDE_MAX)
    small = array[::step, ::step]
    # Of a row every page is read where a step is less than one.
    read = min(array.nbytes, -(-height // step) * min(abs(array.strides[0]), -(-width // step) * PAGE_BYTES))
    if not array.flags.c_contiguous or (read > PICTURE_BYTES and array.nbytes > READ_BYTES_MAX):
        return ""
    pixels = _to_bytes(np.ascontiguousarray(small), channels)
    return data_url(png(pixels.tobytes(), small.shape[1], small.shape[0], channels))


def _to_bytes(small: Any, channels: int) -> Any:
    """As brightness from 0 to 255."""
    if small.dtype == np.uint8:
        return small
    values = small.astype(np.float64)
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    if channels > 1 and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    with np.errstate(all="ignore"):
        scaled = (np.where(finite, values, low) - low) * (255 / (high - low) if high > low else 0)
    return scaled.round().clip(0, 255).astype(np.uint8)
