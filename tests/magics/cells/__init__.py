"""Cells that are hard on whoever reads names out of them, each of which runs three ways."""

from __future__ import annotations

from pathlib import Path

from tests.magics.cells.case import ABSENT, Case, Difference, read

__all__ = ["ABSENT", "CASES", "Case", "Difference"]

# What a text file can't hold, or need not.
_MADE = [
    Case("Windows line ends", "x = 1\r\ny = x\r\n", same=("x", "y")),
    Case("comments and blank lines", "\n\n# one\n\nx = 1  # two\n\n# three", same=("x",)),
    Case("a form feed and tabs", "if True:\n\tx = 1\n\f\ny = 2", same=("x", "y")),
    Case("a long cell", "total = 0\n" + "total += 1\n" * 2000, same=("total",)),
    Case(
        "deep nesting",
        "".join(f"{' ' * n}if n > {n}:\n" for n in range(15)) + " " * 15 + "deep = n",
        setup="n = 99",
        same=("deep",),
    ),
]

CASES = [*_MADE, *(case for path in sorted(Path(__file__).parent.glob("*.txt")) for case in read(path))]
