"""``inspect_serializability``: which part of a value can't be pickled, told before a task is submitted."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TextIO

from raynb.runtime.codec.culprit import PARTS_MAX, describe, failure, parts, rooted

_QUOTED = re.compile(r"'([^']*)'")
FAILURES_MAX = 100


@dataclass(frozen=True, eq=False)
class FailureTuple:
    """A part that can't be pickled although all that it is made of can.

    Attributes
    ----------
    obj
        The part.
    path
        Names of variables and attributes that lead to it, its own last.
    parent
        What it is a part of; None for the value itself.
    """

    obj: Any
    path: tuple[str, ...]
    parent: Any

    @property
    def name(self) -> str:
        """The last of ``path``."""
        return self.path[-1] if self.path else "unknown"

    def __repr__(self) -> str:
        return f"FailTuple({self.name} [path={' -> '.join(self.path)}, obj={self.obj!r}, parent={self.parent!r}])"


@dataclass
class _Search:
    out: TextIO
    failures: list[FailureTuple] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def look_into(self, value: Any, path: tuple[str, ...], parent: Any, depth: int) -> bool:
        """Whether the value can be pickled; what is to blame is noted."""
        error = failure(value)
        if error is None:
            return True
        indent = "    " * len(path)
        print(f"{indent}!!! can't be pickled: {rooted(value) or error}", file=self.out)
        self.seen.add(id(value))
        culpable = False
        if rooted(value) is None and depth > 0:
            for step, part in islice(parts(value), PARTS_MAX):
                if id(part) in self.seen or failure(part) is None:
                    continue
                if culpable and not _QUOTED.search(step):
                    continue  # the same by another way: an object's state has its attributes once more
                culpable = True
                if len(self.failures) >= FAILURES_MAX:
                    break
                print(f"{indent}    {step}: {describe(part)}", file=self.out)
                self.look_into(part, (*path, _name_of(step)), value, depth - 1)
        if not culpable:
            self.failures.append(FailureTuple(value, path, parent))
        return False


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: TextIO | None = None
) -> tuple[bool, set[FailureTuple]]:
    """Find what in a value can't be pickled, and print how one gets there.

    Parameters
    ----------
    name
        What the value is called.
    depth
        How many levels of variables, attributes and items are looked into.
    print_file
        Where to print; by default to standard output.

    Returns
    -------
    serializable, failures
        Whether it can be pickled, and the innermost parts that can't: ``obj``, ``path``, ``parent`` of each.
    """
    out = print_file or sys.stdout
    title = f"Checking Serializability of {base_obj!r}"
    rule = "=" * min(80, len(title))
    print(f"{rule}\n{title}\n{rule}", file=out)
    search = _Search(out)
    serializable = search.look_into(base_obj, (name,) if name else (), None, depth)
    if not serializable:
        print(rule, file=out)
        for found in search.failures:
            print(f"{found}\ncan't be pickled.", file=out)
        print(
            "Make it where it is used (inside the function, in __init__), or pass what it can be made from.", file=out
        )
        print(rule, file=out)
    return serializable, set(search.failures)


def _name_of(step: str) -> str:
    """From "global variable 'lock' of function f" to ``lock``; a step that names nothing stays as it is."""
    found = _QUOTED.search(step)
    return found[1] if found else step
