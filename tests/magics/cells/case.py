"""The cells as data.

A file begins with a line of its subject; then each case is a block of sections:

    === what is hard about it
    --- setup                     (a plain cell that runs before)
    --- cell [options]            (of %%remote)
    --- same                      (expressions whose values are equal, however the cell has run)
    --- differs: why              (`expression => what it gives after a task`; `absent` for a name that has no value)
    --- raises                    (the exception that the cell raises, however it runs)
    --- shows                     (what its last expression shows is the same)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ABSENT = "absent"
SECTIONS = {"setup", "cell", "same", "differs", "raises", "shows"}


@dataclass(frozen=True)
class Difference:
    """Something that a task does otherwise than a plain cell, and why."""

    expression: str
    task: str
    why: str


@dataclass(frozen=True)
class Case:
    """One cell that is run in plain IPython, by `--local` and as a remote task."""

    name: str
    cell: str
    setup: str = ""
    options: str = ""
    same: tuple[str, ...] = ()
    differs: tuple[Difference, ...] = ()
    raises: str = ""
    shows: bool = False


def read(path: Path) -> Iterator[Case]:
    """The cases of a file."""
    _, *blocks = ("\n" + path.read_text()).split("\n=== ")
    for block in blocks:
        name, _, rest = block.partition("\n")
        yield _case(name, rest)


def _case(name: str, text: str) -> Case:
    found: dict[str, str] = {}
    options = ""
    differs: list[Difference] = []
    for section in ("\n" + text).split("\n--- ")[1:]:
        title, _, body = section.partition("\n")
        kind, _, more = title.partition(" ")
        kind, body = kind.removesuffix(":"), body.strip("\n")
        assert kind in SECTIONS, f"{name}: {title}"
        if kind == "differs":
            expression, task = body.split(" => ")
            differs.append(Difference(expression, task, more))
        else:
            found[kind] = body
            options = more if kind == "cell" else options
    return Case(
        name=name,
        cell=found["cell"],
        setup=found.get("setup", ""),
        options=options,
        same=tuple(found.get("same", "").splitlines()),
        differs=tuple(differs),
        raises=found.get("raises", ""),
        shows="shows" in found,
    )
