"""What is large in what goes along by value: looked for when a pickle has turned out to be large, and told once."""

from __future__ import annotations

import re
import sys
import warnings
from types import FrameType, FunctionType, MethodType
from typing import Any

from raynb.runtime.codec.culprit import describe, parts
from raynb.runtime.codec.pickling import PROTOCOL, ByValuePickler
from raynb.runtime.codec.references import collect_references
from raynb.runtime.messages.sizes import size_text

LARGE_BYTES = 10_000_000

NAMED_MAX = 5
"""So many variables a warning names."""

DEPTH_MAX = 8


class LargeCaptureWarning(UserWarning):
    """Something large is copied again and again, since it goes along by value."""


class _Counter:
    """A file that keeps nothing but how much was written to it."""

    def __init__(self) -> None:
        self.nbytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.nbytes += size
        return size


def pickled_size(value: object) -> int:
    """Bytes of a value's pickle, its buffers among them; 0 for one that has none."""
    counter = _Counter()
    buffers: list[Any] = []
    try:
        with collect_references():
            ByValuePickler(counter, PROTOCOL, buffer_callback=buffers.append).dump(value)
        return counter.nbytes + sum(memoryview(buffer).nbytes for buffer in buffers)
    except Exception:
        return 0


def large_variables(code: object, limit: int = LARGE_BYTES) -> list[tuple[str, int]]:
    """The variables that make the pickle of a function or a class large: how one gets to each, and its bytes.

    Functions and classes among them are looked into, values are not.
    """
    found: dict[int, tuple[str, int]] = {}
    _search(code, limit, found, {id(code)}, 0)
    return sorted(found.values(), key=lambda each: -each[1])


def _search(code: object, limit: int, found: dict[int, tuple[str, int]], seen: set[int], depth: int) -> None:
    for step, part in parts(code):
        if id(part) in seen:
            continue
        seen.add(id(part))
        size = pickled_size(part)
        if size < limit:
            continue
        if isinstance(part, FunctionType | MethodType | type) and depth < DEPTH_MAX:
            _search(part, limit, found, seen, depth + 1)
        else:
            found[id(part)] = step, size


def warn_of_function(function: object, nbytes: int) -> None:
    """Say what makes a function (or a class) so large that each worker which gets it gets much."""
    variables = large_variables(function)
    shown = [f"{step} ({size_text(size)})" for step, size in variables[:NAMED_MAX]]
    what = f": {', '.join(shown)}" if shown else ""
    name = _quoted(variables[0][0]) if variables else ""
    warn(
        f"{describe(function)} takes {size_text(nbytes)} along by value to every worker that runs it{what}. "
        f"`ref = raynb.put({name or '...'})` once, and pass the reference as an argument: it arrives as the value."
    )


def warn(message: str, category: type[Warning] = LargeCaptureWarning) -> None:
    """Warn at the line of the user's that has led here."""
    level, frame = 1, sys._getframe()
    caller: FrameType | None = frame
    while caller is not None and is_raynbs(caller):
        level, caller = level + 1, caller.f_back
    warnings.warn(message, category, stacklevel=level if caller is not None else 2)


def is_raynbs(frame: FrameType) -> bool:
    """Whether a frame is one of this package's own."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "raynb"


def name_of(value: object) -> str:
    """What the user's code, from which this is called, calls a value; empty if it has no name there."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and is_raynbs(frame):
        frame = frame.f_back
    if frame is not None:
        for names in (frame.f_locals, frame.f_globals):
            for name, known in list(names.items()):
                if known is value and not name.startswith("_"):
                    return name
    return ""


def _quoted(step: str) -> str:
    match = re.search(r"variable '(\w+)'", step)
    return match[1] if match else ""
