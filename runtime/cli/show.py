"""How results are written: a table for people, JSON for programs; never a control character of somebody else's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

CELL_CHARS_MAX = 200
PIPE_COLUMNS = 1_000_000
"""What is read by a program is not cut to a terminal's width."""


def console() -> Console:
    """Standard output, as wide as it is."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PIPE_COLUMNS, color_system=None)


def print_json(value: Any) -> None:
    """For programs."""
    print(json.dumps(value, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """For people; in a pipe the columns are as wide as their text."""
    table = Table(title=title or None, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    console().print(table)


def cell(value: Any) -> Text:
    """A value in a table: short, in one line, without what could drive the terminal."""
    if value is None:
        text = "-"
    elif isinstance(value, dict):
        text = ", ".join(f"{name}: {part}" for name, part in value.items()) or "-"
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = str(value)
    clean = "".join(char if char.isprintable() else " " for char in text[:CELL_CHARS_MAX])
    return Text(clean + ("..." if len(text) > CELL_CHARS_MAX else ""))


def gib(amount: float) -> str:
    """Bytes for people."""
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**30 else f"{amount / 2**20:.1f} MiB"
