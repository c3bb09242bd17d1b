"""Completion of magics' lines: commands, options and, where one is expected, names of the notebook."""

from __future__ import annotations

from collections.abc import Iterable

from raynb.magics.arguments import ExpressionOptions, RemoteOptions, flags
from raynb.magics.commands import COMMANDS

_TAKES_NAMES = {"--inputs", "--outputs", "--out"}


def candidates(line: str, names: Iterable[str] = ()) -> list[str]:
    """What may stand where the line ends.

    Parameters
    ----------
    line
        The text before the cursor, the magic included; a magic may follow an assignment.
    names
        Of the notebook.
    """
    line = line[line.index("%") :]
    words = line.split()
    magic, typed = words[0], ("" if line[-1:].isspace() else words[-1])
    before = words[1:] if not typed else words[1:-1]
    if magic == "%raynb":
        found = list(flags(COMMANDS[before[0]])) if before and before[0] in COMMANDS else []
        found = found if before else [*COMMANDS, "--help"]
    elif before and before[-1] in _TAKES_NAMES:
        # A shell completes what follows a comma.
        return [name for name in _public(names) if name.startswith(typed.rpartition(",")[2])]
    else:
        options = RemoteOptions if magic == "%%remote" else ExpressionOptions
        # An option says a thing once.
        found = [flag for flag in flags(options) if flag not in before]
        if magic == "%remote" and not typed.startswith("-"):
            found = _public(names)
    return [candidate for candidate in found if candidate.startswith(typed)]


def _public(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("_"))
