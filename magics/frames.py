"""Frames of a task's traceback, which came as text, as people know them: cells by number, and with their lines."""

from __future__ import annotations

import linecache
import re
from typing import Any

_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+)(?P<rest>.*)$')


def remote_text(shell: Any, text: str) -> str:
    """A remote traceback with cells named as cells, and their lines, which only this process has."""
    out: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = _FRAME.match(line)
        if match is None:
            out.append(line)
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        has_source = following.startswith("    ")
        source = None if has_source else linecache.getline(match["file"], int(match["line"])).strip()
        out.append(place(shell, match["file"], int(match["line"]), match["rest"], source))
    return "\n".join(out)


def place(shell: Any, filename: str, line: int, rest: str, source: str | None) -> str:
    cell = cell_number(shell, filename)
    where = f"  Cell In[{cell}], line {line}{rest}" if cell is not None else f'  File "{filename}", line {line}{rest}'
    return f"{where}\n    {source}" if source else where


def cell_number(shell: Any, filename: str) -> int | None:
    """The execution count of the cell that was compiled under this file name."""
    known = getattr(shell.compile, "_filename_map", {})
    number: int | None = known.get(filename)
    return number
