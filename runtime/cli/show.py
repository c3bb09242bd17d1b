"""How results are written: a table for people, JSON for programs; never a control character of somebody else's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CELL_CHARS_MAX = 200
DETAIL_CHARS_MAX = 4000


def print_json(value: Any) -> None:
    """For programs."""
    print(json.dumps(value, indent=2, default=str))


def print_yaml(value: Any) -> None:
    """For programs that read this rather than JSON, and for people where values are nested."""
    import yaml  # type: ignore[import-untyped]  # here: it takes longer to load than all the rest

    plain = json.loads(json.dumps(value, default=str))
    print(yaml.safe_dump(plain, sort_keys=False, explicit_start=True, explicit_end=True), end="")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """For people on a terminal; in a pipe columns are as wide as their text, whatever the terminal is."""
    lines = [[cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        # Imported here: it takes longer to load than a pipe needs to be filled.
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*map(Text, line))
        Console(highlight=False).print(table)
        return
    widths = [max(map(len, texts)) for texts in zip(columns, *lines, strict=True)]
    for line in [list(columns), *lines]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_records(rows: Iterable[Mapping[str, Any]]) -> None:
    """For people, where there are too many fields for columns: a field a line."""
    for number, row in enumerate(rows):
        if number:
            print()
        width = max(map(len, row))
        for name, value in row.items():
            print(f"{name.ljust(width)}  {cell(value, DETAIL_CHARS_MAX)}")


def cell(value: Any, chars_max: int = CELL_CHARS_MAX) -> str:
    """A value in a table: short, in one line, without what could drive the terminal."""
    if value is None:
        text = "-"
    elif isinstance(value, dict):
        text = ", ".join(f"{name}: {part}" for name, part in value.items()) or "-"
    elif isinstance(value, float):
        text = f"{value:g}"
    else:
        text = str(value)
    clean = "".join(char if char.isprintable() else " " for char in text[:chars_max])
    return clean + ("..." if len(text) > chars_max else "")
