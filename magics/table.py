"""What the commands of `%raynb` show: tables, and text. HTML in a notebook, the same as plain text in a terminal.

All text is somebody else's: control characters, terminal escapes and what turns the direction of reading are left out,
and HTML is escaped. Colours are those of the page around it.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from raynb.runtime.messages.text import clean

CELL_CHARS_MAX = 160
TEXT_CHARS_MAX = 200_000
UNBROKEN_CHARS_MAX = 40
"""A column with no more is not broken into lines."""

_LINE = "border:0;border-bottom:1px solid rgba(128,128,128,.35)"
_CELL = f"padding:.15em 1em .15em 0;vertical-align:top;background:none;{_LINE}"


class Table:
    """Rows under a title.

    Parameters
    ----------
    title
        What they are and how many, in a line.
    columns
        Their headings. Columns that are empty in every row are left out.
    numbers
        Headings of columns that are aligned to the right.
    notes
        Lines below: what was left out, and why.
    """

    def __init__(
        self,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        numbers: Collection[str] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self.title = clean(title)
        lines = [[cell(value) for value in row] for row in rows]
        used = [at for at in range(len(columns)) if any(line[at] for line in lines)]
        self.columns = [columns[at] for at in used]
        self.rows = [[line[at] for at in used] for line in lines]
        self.notes = [clean(note) for note in notes if note]
        self._right = [column in numbers for column in self.columns]
        self._short = [
            all(len(line[at]) <= UNBROKEN_CHARS_MAX for line in self.rows) for at in range(len(self.columns))
        ]

    def __repr__(self) -> str:
        parts = [self.title]
        if self.rows:
            widths = [max(map(len, texts)) for texts in zip(self.columns, *self.rows, strict=True)]
            parts += ["", *(self._line(line, widths) for line in ([name.upper() for name in self.columns], *self.rows))]
        return "\n".join([*parts, *(["", *self.notes] if self.notes else [])])

    def _line(self, texts: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, self._right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    def _repr_html_(self) -> str:
        head = "".join(self._cell("th", name, at, " scope='col'") for at, name in enumerate(self.columns))
        body = "".join(
            f"<tr>{''.join(self._cell('td', text, at) for at, text in enumerate(line))}</tr>" for line in self.rows
        )
        table = (
            f"<table style='border-collapse:collapse;margin:.3em 0;font-size:90%'><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )
        notes = "".join(f"<div style='opacity:.75;font-size:90%'>{html.escape(note)}</div>" for note in self.notes)
        return f"<div><strong>{html.escape(self.title)}</strong>{table if self.rows else ''}{notes}</div>"

    def _cell(self, tag: str, text: str, at: int, more: str = "") -> str:
        align = "right;font-variant-numeric:tabular-nums" if self._right[at] else "left"
        align += ";white-space:nowrap" if tag == "th" or self._short[at] else ""
        return f"<{tag}{more} style='text-align:{align};{_CELL}'>{html.escape(text)}</{tag}>"


class Tables:
    """Several, one below the other."""

    def __init__(self, *tables: Table | Text) -> None:
        self.tables = tables

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.tables))

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables)


class Text:
    """Lines that keep their columns, under a title."""

    def __init__(self, title: str, text: str, notes: Iterable[str] = ()) -> None:
        self.title = clean(title)
        lines = text[-TEXT_CHARS_MAX:].splitlines()
        self.lines = [clean(line.replace("\t", "    ")) for line in lines]
        self.notes = [clean(note) for note in notes if note]

    def __repr__(self) -> str:
        parts = [self.title, *(["", *self.lines] if self.lines else [])]
        return "\n".join([*parts, *(["", *self.notes] if self.notes else [])])

    def _repr_html_(self) -> str:
        text = html.escape("\n".join(self.lines))
        notes = "".join(f"<div style='opacity:.75;font-size:90%'>{html.escape(note)}</div>" for note in self.notes)
        style = (
            "margin:.3em 0;padding:0;background:none;border:0;line-height:1.3;overflow-x:auto;white-space:pre;"
            "font-family:var(--jp-code-font-family,monospace);font-size:90%"
        )
        return f"<div><strong>{html.escape(self.title)}</strong><pre style='{style}'>{text}</pre>{notes}</div>"


def cell(value: Any) -> str:
    """A value in a table: short, in one line; nothing for None."""
    if value is None:
        return ""
    text = str(value)
    shown = clean(" ".join(text.split()) if len(text) < 10 * CELL_CHARS_MAX else text[: 10 * CELL_CHARS_MAX])
    return shown if len(shown) <= CELL_CHARS_MAX else f"{shown[:CELL_CHARS_MAX]}..."
