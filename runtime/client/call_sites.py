"""Where in a program an object was put: noted at every `put`, so as two numbers; made a text when somebody asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Final

#: Set by the kernel extension: what people call a source file; ``In[3]`` for a cell's.
source_name: Callable[[str], str] = str

Site = tuple[str, CodeType, int]
"""What was done, the code that did it, and which of its instructions."""

INSIDE: Final = __name__.partition(".")[0] + "."
ACTOR_CALLS: Final = ("runtime/api/handles.py", "runtime/api/actors.py")
"""Files whose functions people call to create actors and to call them."""


def put_at(depth: int) -> Site:
    """So many calls above the one that asks: a `put`. It costs as little as can be."""
    frame = sys._getframe(depth)
    return "put object", frame.f_code, frame.f_lasti


def call_at() -> Site | None:
    """The innermost place that is not this package's own: a call of a task or an actor; None where there is none."""
    inner = frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith(INSIDE):
        if frame.f_back is None:
            return None
        inner, frame = frame, frame.f_back
    what = "actor call" if inner.f_code.co_filename.endswith(ACTOR_CALLS) else "task call"
    return what, frame.f_code, frame.f_lasti


def text_of(site: Site) -> str:
    """As in Ray's tables: what was done, and ``file:function:line``."""
    what, code, instruction = site
    lines = (line for begin, end, line in code.co_lines() if begin <= instruction < end and line)
    return f"({what}) {source_name(code.co_filename)}:{code.co_name}:{next(lines, code.co_firstlineno)}"
