"""A look into a Python object, made where such objects may be: in a worker.

Whoever asks is no client of the user's code (a Jupyter server): it gets JSON of an `ObjectPreview`, bounded in size.
How long this may take the asker watches over.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import cloudpickle
import msgspec

from raynb.runtime.client import refs
from raynb.runtime.codec.kinds import kind_of
from raynb.runtime.codec.layout import read_object
from raynb.runtime.codec.png import data_url
from raynb.runtime.codec.values import unpack
from raynb.runtime.messages.screen import Column, ObjectPreview
from raynb.runtime.messages.text import clean, clean_lines

TEXT_CHARS_MAX: Final = 20_000
HEX_BYTES_MAX: Final = 4096
IMAGE_BYTES_MAX: Final = 2 * 1024 * 1024
ROWS_MAX: Final = 50
COLUMNS_MAX: Final = 20
CELL_CHARS_MAX: Final = 100
COUNTED_VALUES_MAX: Final = 20_000_000
NOTE_CHARS_MAX: Final = 500
COPIED_BYTES_MAX: Final = 32 * 1024 * 1024
JSON_ITEMS_MAX: Final = 200
JSON_DEPTH_MAX: Final = 6

Paged = tuple[int, tuple[int, ...]]
"""The first row, and the indices of an array's leading dimensions."""


def preview_stored(oid: bytes, segment: str, offset: int, size: int, first: int, at: tuple[int, ...]) -> bytes:
    """Of an object in this node's shared memory."""
    view = refs.current().plane.segments.read_view(segment, offset, size)
    return _encoded(lambda: read_object(view, oid), size, (first, at))


def preview_packed(data: bytes, buffers: list[bytes] | None, first: int, at: tuple[int, ...]) -> bytes:
    """Of a small one, which came along."""
    size = len(data) + sum(map(len, buffers or ()))
    return _encoded(lambda: unpack(data, buffers), size, (first, at))


def _encoded(load: Callable[[], Any], size: int, paged: Paged) -> bytes:
    found = ObjectPreview(kind="none", type="", bytes=size)
    for copied in (False, True):
        try:
            value = load()
            # What draws itself may want to change its arrays, which are read-only here; those of protocol 4 are not.
            value = cloudpickle.loads(cloudpickle.dumps(value, 4)) if copied else value
            return msgspec.json.encode(preview(value, size, paged))
        except Exception as error:
            if not copied:
                note = clean(f"It can't be shown: {type(error).__name__}: {error}")[:NOTE_CHARS_MAX]
                found = ObjectPreview(kind="none", type="", bytes=size, note=note)
            if size > COPIED_BYTES_MAX:
                break
    return msgspec.json.encode(found)


def preview(value: Any, size: int, paged: Paged) -> ObjectPreview:
    """A look into a value. Its own code may run: its ``repr``, or what draws it."""
    module = type(value).__module__.partition(".")[0]
    name = type(value).__name__
    if module == "numpy" and name == "ndarray" and not value.dtype.hasobject:
        from raynb.runtime.codec.array_preview import array_preview

        return array_preview(value, size, *paged)
    kind = kind_of(value)
    shape = None if kind.shape is None else list(kind.shape)
    base = ObjectPreview(kind="repr", type=kind.type, bytes=size, dtype=kind.dtype, shape=shape)
    if module == "pandas" and name in ("DataFrame", "Series"):
        return _frame(value.to_frame() if name == "Series" else value, base, paged[0])
    if module == "pyarrow" and name in ("Table", "RecordBatch"):
        return _arrow(value, base, paged[0])
    if image := _image(value):
        return msgspec.structs.replace(base, kind="image", image=image)
    return _text(value, base)


# -- tables


def _page(total: int, first: int) -> tuple[int, int]:
    first = max(0, min(first, total))
    return first, min(total, first + ROWS_MAX)


def _frame(frame: Any, base: ObjectPreview, first: int) -> ObjectPreview:
    total, width = frame.shape
    first, end = _page(total, first)
    shown = frame.iloc[first:end, :COLUMNS_MAX]
    few = total * min(width, COLUMNS_MAX) <= COUNTED_VALUES_MAX
    columns = [Column(_cell(frame.index.name or ""), str(frame.index.dtype))]
    for number in range(min(width, COLUMNS_MAX)):
        column = frame.iloc[:, number]
        nulls = int(column.isna().sum()) if few else None
        columns.append(Column(_cell(frame.columns[number]), str(column.dtype), nulls))
    lines = zip(shown.index, shown.itertuples(index=False), strict=True)
    rows = [[_cell(index), *map(_cell, row)] for index, row in lines]
    return _table(base, columns, rows, first, total, width)


def _arrow(table: Any, base: ObjectPreview, first: int) -> ObjectPreview:
    total, width = table.num_rows, table.num_columns
    first, end = _page(total, first)
    columns, texts = [], []
    for number in range(min(width, COLUMNS_MAX)):
        column = table.column(number)
        columns.append(Column(_cell(table.schema.field(number).name), str(column.type), column.null_count))
        texts.append([_cell(value.as_py()) for value in column.slice(first, end - first)])
    base = msgspec.structs.replace(base, shape=[total, width])
    return _table(base, columns, [list(row) for row in zip(*texts, strict=True)], first, total, width)


def _table(
    base: ObjectPreview, columns: list[Column], rows: list[list[str]], first: int, total: int, width: int
) -> ObjectPreview:
    note = f"The first {COLUMNS_MAX} of {width:,} columns." if width > COLUMNS_MAX else ""
    return msgspec.structs.replace(base, kind="table", columns=columns, rows=rows, offset=first, total=total, note=note)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return clean(text[: 2 * CELL_CHARS_MAX])[:CELL_CHARS_MAX]


# -- pictures


def _image(value: Any) -> str:
    """What it draws of itself, as an address for ``<img>``, where a picture's scripts don't run."""
    if type(value).__module__ == "matplotlib.figure":
        return data_url(_figure(value))
    for method, kind in (("_repr_png_", "image/png"), ("_repr_svg_", "image/svg+xml")):
        draw = getattr(type(value), method, None)
        if draw is None:
            continue
        with suppress(Exception):
            drawn = draw(value)
            drawn = drawn[0] if isinstance(drawn, tuple) else drawn
            data = drawn.encode() if isinstance(drawn, str) else drawn
            if isinstance(data, bytes) and 0 < len(data) <= IMAGE_BYTES_MAX:
                return data_url(data, kind)
    return ""


def _figure(figure: Any) -> bytes:
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    data = io.BytesIO()
    canvas.print_png(data)
    return data.getvalue()


# -- text


def _text(value: Any, base: ObjectPreview) -> ObjectPreview:
    replace = msgspec.structs.replace
    if isinstance(value, str):
        note = f"The first {TEXT_CHARS_MAX:,} of {len(value):,} characters." if len(value) > TEXT_CHARS_MAX else ""
        return replace(base, kind="text", text=clean_lines(value[:TEXT_CHARS_MAX]), note=note)
    if isinstance(value, bytes | bytearray):
        note = f"The first {HEX_BYTES_MAX:,} of {len(value):,} bytes." if len(value) > HEX_BYTES_MAX else ""
        return replace(base, kind="bytes", text=hex_dump(bytes(value[:HEX_BYTES_MAX])), note=note)
    if isinstance(value, dict | list | tuple):
        with suppress(TypeError, ValueError, RecursionError):
            cut: list[int] = []
            text = json.dumps(_bounded(value, JSON_DEPTH_MAX, cut), indent=2, ensure_ascii=False)
            note = "Long containers are cut." if cut else ""
            return replace(base, kind="text", text=clean_lines(text[:TEXT_CHARS_MAX]), note=note)
    text = _short.repr(value) if isinstance(value, dict | list | tuple | set | frozenset) else repr(value)
    note = f"The first {TEXT_CHARS_MAX:,} of {len(text):,} characters." if len(text) > TEXT_CHARS_MAX else ""
    return replace(base, text=clean_lines(text[:TEXT_CHARS_MAX]), note=note)


_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 4, 200, 500
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = 50


def _bounded(value: Any, depth: int, cut: list[int]) -> Any:
    """JSON's values alone, and few of them; `TypeError` for anything else."""
    if isinstance(value, dict | list | tuple):
        if not depth or len(value) > JSON_ITEMS_MAX:
            cut.append(len(value))
        if not depth:
            return "..."
        if isinstance(value, dict):
            items = list(value.items())[:JSON_ITEMS_MAX]
            if not all(isinstance(key, str) for key, _ in items):
                raise TypeError("JSON's keys are text")
            return {key: _bounded(item, depth - 1, cut) for key, item in items}
        return [_bounded(item, depth - 1, cut) for item in value[:JSON_ITEMS_MAX]]
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) is str:
        return value[:TEXT_CHARS_MAX]
    raise TypeError(f"a {type(value).__name__} is not JSON's")


def hex_dump(data: bytes) -> str:
    """Offset, bytes, and what of them is text."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):<47}  {shown}")
    return "\n".join(lines)
