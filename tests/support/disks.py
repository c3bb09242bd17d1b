"""A disk that damages what was written to it."""

from __future__ import annotations

import mmap
from pathlib import Path


def damage(folder: Path, pattern: bytes) -> Path:
    """Change one byte behind the first place in a folder's files where these bytes are; gives the file.

    Raises
    ------
    AssertionError
        They are nowhere.
    """
    for path in folder.iterdir():
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            found = memory.find(pattern)
            if found >= 0:
                memory[found + len(pattern)] ^= 1
                return path
    raise AssertionError(f"not in {folder}")
