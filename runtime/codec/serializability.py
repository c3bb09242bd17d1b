"""What is said of a value that can't be pickled: the way to the culprit in one sentence, and below it a report.

Programs for Ray look for the report in the error's text, and get it by itself from `inspect_serializability`.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TextIO

from raynb.runtime.codec.culprit import PARTS_MAX, failure, find_culprit, parts, rooted, short, text_of, verdict

_QUOTED = re.compile(r"'([^']*)'")
ADVICE = ". Make it where it is used, or pass what it can be made from."
FAILURES_MAX = 100
TRIALS_MAX = 10_000
"""In one search."""
REPR_MAX = 200
TITLE_MAX = 80


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
        obj, parent = short(self.obj, REPR_MAX), short(self.parent, REPR_MAX)
        return f"FailTuple({self.name} [path={' -> '.join(self.path)}, obj={obj}, parent={parent}])"


@dataclass
class _Search:
    out: TextIO
    failures: list[FailureTuple] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    trials: int = TRIALS_MAX

    def look_into(self, value: Any, path: tuple[str, ...], parent: Any, depth: int) -> bool:
        """Whether the value can be pickled; what is to blame is noted."""
        error = failure(value)
        if error is None:
            return True
        indent = "    " * len(path)
        print(f"{indent}!!! FAIL serialization: {rooted(value) or error}", file=self.out)
        self.seen.add(id(value))
        culpable = False
        if rooted(value) is None and depth > 0:
            for step, part in islice(parts(value), PARTS_MAX):
                self.trials -= 1
                if id(part) in self.seen or self.trials < 0 or failure(part) is None:
                    continue
                if culpable and not _QUOTED.search(step):
                    continue  # the same by another way: an object's state has its attributes once more
                culpable = True
                if len(self.failures) >= FAILURES_MAX:
                    break
                print(f"{indent}    Serializing '{_name_of(step)}' {short(part, REPR_MAX)}...", file=self.out)
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
    title = f"Checking Serializability of {short(base_obj, REPR_MAX)}"
    rule = "=" * min(TITLE_MAX, len(title))
    print(f"{rule}\n{title}\n{rule}", file=out)
    search = _Search(out)
    serializable = search.look_into(base_obj, (name,) if name else (), None, depth)
    if not serializable:
        found = "\n".join(map(repr, search.failures))
        print(
            f"{rule}\nVariable: \n\n\t{found}\n\nwas found to be non-serializable. There may be multiple other "
            "undetected variables that were non-serializable. \nConsider either removing the instantiation/imports of "
            "these variables or moving the instantiation into the scope of the function/class. ",
            file=out,
        )
        print(rule, file=out)
    return serializable, set(search.failures)


def _name_of(step: str) -> str:
    """From "global variable 'lock' of function f" to ``lock``; a step that names nothing stays as it is."""
    found = _QUOTED.search(step)
    return found[1] if found else step


def explain(value: object, name: str, error: Exception) -> str:
    """The message for a pickle that failed with ``error``: with the culprit if it can be found."""
    culprit = find_culprit(value, name)
    return f"{culprit or f'{name}: {verdict(value, error)}'}{ADVICE}{_report(value)}"


def explain_call(args: Iterable[object], kwargs: dict[str, object], error: Exception) -> str:
    """`explain` for the arguments of a call."""
    named = [(f"argument {index}", value) for index, value in enumerate(args)]
    named += [(f"argument {key!r}", value) for key, value in kwargs.items()]
    for name, value in named:
        if culprit := find_culprit(value, name):
            return f"{culprit}{ADVICE}{_report(value)}"
    return f"the arguments cannot be pickled: {text_of(error)}"


def _report(value: object) -> str:
    out = io.StringIO()
    inspect_serializability(value, print_file=out)
    return f"\n{out.getvalue().rstrip()}"
