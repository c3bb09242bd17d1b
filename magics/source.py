"""The text of a cell, numbered as the person sees it.

A magic gets the body of its cell; the lines above it (the magic's own, blank ones, another magic around it)
are missing. They are put back as blank lines, so that every line number, in a syntax error, in a
traceback, in a warning, is the cell's own. What is compiled went through IPython's own transformation.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType

LINECACHE_CELLS_MAX = 500
"""So many cells a worker keeps to show their lines in tracebacks; the oldest go first."""

_shown_here: dict[str, None] = {}


@dataclass(frozen=True)
class CellSource:
    """A cell as it is compiled and as it is shown.

    Attributes
    ----------
    text
        Python source; its line numbers are those of ``shown``.
    shown
        The whole cell as it was typed.
    filename
        Under which it is compiled: the one that IPython gave the cell.
    flags
        Compiler flags of the session (a ``from __future__ import`` in an earlier cell).
    number
        Execution count, 0 where there is none.
    """

    text: str
    shown: str = ""
    filename: str = "<cell>"
    flags: int = 0
    number: int = 0

    @property
    def label(self) -> str:
        """How people name the cell."""
        return f"In[{self.number}]"

    def line(self, number: int) -> str:
        """The cell's line with this number, counted from 1; empty where there is none."""
        lines = (self.shown or self.text).splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def parse(self) -> ast.Module:
        """The syntax tree, `await` at the top level allowed.

        Raises
        ------
        SyntaxError
            With the cell's filename and line, also for what only the compiler finds (a `return`
            outside a function).
        """
        tree = ast.parse(self.text, self.filename)
        self.compile(tree)
        return tree

    def compile(self, tree: ast.Module | ast.Expression) -> CodeType:
        """A code object for the tree, which may `await` at its top level."""
        mode = "exec" if isinstance(tree, ast.Module) else "eval"
        flags = self.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code: CodeType = compile(tree, self.filename, mode, flags, dont_inherit=True)
        return code

    def remember_lines(self) -> None:
        """Let tracebacks and `inspect` of this process show the cell's lines."""
        lines = (self.shown or self.text).splitlines(keepends=True)
        # The None stands for a modification time: `linecache.checkcache` leaves such entries alone.
        linecache.cache[self.filename] = (sum(map(len, lines)), None, lines, self.filename)
        _shown_here.pop(self.filename, None)
        _shown_here[self.filename] = None
        while len(_shown_here) > LINECACHE_CELLS_MAX:
            oldest = next(iter(_shown_here))
            del _shown_here[oldest]
            linecache.cache.pop(oldest, None)


def numbered(body: str, whole: str, transform: Callable[[str], str]) -> str:
    """The body of a cell, transformed, with blank lines for what stands above it.

    Parameters
    ----------
    body
        What the magic got.
    whole
        The cell as typed; where the body isn't its end (prompts were stripped), one line above is assumed.
    transform
        IPython's cell transformation. It drops blank lines at the start, which are put back.
    """
    end = body.rstrip("\n")
    typed = whole.rstrip("\n")
    above = typed[: len(typed) - len(end)].count("\n") if typed.endswith(end) else 1
    blank = len(body) - len(body.lstrip("\n \t"))
    above += body[:blank].count("\n")
    return "\n" * above + transform(body)
