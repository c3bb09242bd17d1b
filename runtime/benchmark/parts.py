"""A page that several commands write, each its own part.

The first part, which has no name, begins the page; each other one begins with a line that names it.
"""

from __future__ import annotations

import re
from pathlib import Path

_BEGINS = re.compile(r"^<!-- part: (\w+) -->\n\n?", re.MULTILINE)


def write(file: Path, name: str, text: str) -> None:
    """Put this in the place of a part of a file, which may not be there yet; the other parts stay."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(with_part(file.read_text() if file.exists() else "", name, text))


def with_part(page: str, name: str, text: str) -> str:
    first, *rest = _BEGINS.split(page)
    found = {"": first} | dict(zip(rest[::2], rest[1::2], strict=True)) | {name: text}
    shown = [f"<!-- part: {key} -->\n\n{part.strip()}" if key else part.strip() for key, part in found.items()]
    return "\n\n".join(part for part in shown if part) + "\n"
