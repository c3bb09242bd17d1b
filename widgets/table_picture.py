"""A page of a table as HTML and as text: what stays in a saved notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from raynb.runtime.messages.screen import TablePage
from raynb.runtime.messages.sizes import size_text
from raynb.widgets import text

ROWS_MAX: Final = 50
Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]


def _plain(field: str) -> Callable[[Row], str]:
    return lambda row: text.line(str(row.get(field) if row.get(field) is not None else ""))


def _shape(row: Row) -> str:
    shape = row.get("value_shape")
    sizes = " x ".join(map(str, shape)) if isinstance(shape, list) else str(shape or "")
    return text.line(f"{row.get('value_dtype') or ''} {sizes}".strip())


def _holders(row: Row) -> str:
    names = row.get("held_by")
    return text.line(", ".join(map(str, names))) if isinstance(names, list) else ""


OBJECTS: Final[tuple[Column, ...]] = (
    ("object", lambda row: str(row.get("object_id", ""))[10:20] + "…" + str(row.get("object_id", ""))[48:52]),
    ("type", lambda row: text.line(str(row.get("value_type") or "").rpartition(".")[2])),
    ("shape", _shape),
    ("size", lambda row: size_text(int(row.get("object_size") or 0))),
    ("state", lambda row: str(row.get("state", "")).lower()),
    ("held by", _holders),
    ("made at", _plain("call_site")),
)
ACTORS: Final[tuple[Column, ...]] = (
    ("actor", _plain("class_name")),
    ("name", _plain("name")),
    ("state", lambda row: str(row.get("state", "")).lower()),
    ("restarts", _plain("num_restarts")),
    ("process", _plain("pid")),
    ("made at", _plain("call_site")),
)


def as_html(page: TablePage, columns: tuple[Column, ...], title: str) -> str:
    """A plain table, which needs no style sheet."""
    rows = page.rows[:ROWS_MAX]
    shown = [column for column in columns if any(column[1](row) for row in rows)] or list(columns)
    head = "".join(f'<th scope="col">{text.escaped(name)}</th>' for name, _ in shown)
    body = "".join(
        "<tr>" + "".join(f"<td>{text.escaped(read(row))}</td>" for _, read in shown) + "</tr>" for row in rows
    )
    more = page.total - len(rows)
    foot = f"<p>and {text.count(more)} more</p>" if more > 0 else ""
    caption = text.escaped(f"{title}: {text.count(page.total)}")
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def as_text(page: TablePage, columns: tuple[Column, ...], title: str) -> str:
    """Aligned columns."""
    rows = [[read(row) for _, read in columns] for row in page.rows[:ROWS_MAX]]
    table = [[name for name, _ in columns], *rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    more = page.total - len(rows)
    tail = [f"and {text.count(more)} more"] if more > 0 else []
    return "\n".join([f"{title}: {text.count(page.total)}", *lines, *tail])
