"""Completion of magics' lines: commands, options, their values and, where one is expected, names of the notebook."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raynb.magics.arguments import ExpressionOptions, Options, RemoteOptions, flags, spelled
from raynb.magics.commands import COMMANDS

_TAKES_NAMES = {"--inputs", "--outputs", "--out"}


def candidates(line: str, names: Iterable[str] = ()) -> list[str]:
    """What may stand where the line ends.

    Parameters
    ----------
    line
        The text before the cursor, the magic included; a magic may follow an assignment.
    names
        Of the notebook; as a mapping where values matter (``%raynb why`` takes references).
    """
    line = line[line.index("%") :]
    words = line.split()
    magic, typed = words[0], ("" if line[-1:].isspace() else words[-1])
    before = words[1:] if not typed else words[1:-1]
    if magic == "%raynb":
        if not before:
            return [name for name in [*COMMANDS, "--help"] if name.startswith(typed)]
        found = _of_command(before, typed, names) if before[0] in COMMANDS else []
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


def _of_command(before: list[str], typed: str, names: Iterable[str]) -> list[str]:
    """The values of the option before the cursor; else what the command takes, and its options."""
    command, *given = before
    options = COMMANDS[command].options
    fields = {spelled(f.name): f for f in dataclasses.fields(options) if f.metadata["of"] != "argument"}
    awaited = fields.get(given[-1]) if given else None
    namespace = names if isinstance(names, Mapping) else dict.fromkeys(names)
    if awaited is not None and not isinstance(awaited.default, bool):
        return _values(awaited, typed, namespace)
    found = [flag for flag in flags(options) if flag not in given]
    argument = _argument(options)
    if argument is None or typed.startswith("-") or _has_argument(given, fields):
        return found
    return [*_values(argument, typed, namespace), *found]


def _argument(options: type[Options]) -> dataclasses.Field[Any] | None:
    return next((f for f in dataclasses.fields(options) if f.metadata["of"] == "argument"), None)


def _has_argument(given: list[str], fields: Mapping[str, dataclasses.Field[Any]]) -> bool:
    """Whether there is a word that is neither an option nor an option's value."""
    takes_value = {name for name, f in fields.items() if not isinstance(f.default, bool)}
    previous = ["", *given]
    return any(
        not word.startswith("-") and before not in takes_value for before, word in zip(previous, given, strict=False)
    )


def _values(field: dataclasses.Field[Any], typed: str, namespace: Mapping[str, Any]) -> list[str]:
    kind = field.metadata["complete"]
    if isinstance(kind, tuple):
        # Typed in lower case, it is completed so.
        return [value.lower() for value in kind] if typed and typed == typed.lower() else list(kind)
    find = _FINDERS.get(kind)
    if find is None:
        return []
    with contextlib.suppress(Exception):  # a cluster that does not answer has nothing to offer
        return find(typed, namespace)
    return []


# -- what is asked of the notebook and the cluster; all loaded when it is needed


def _refs(typed: str, namespace: Mapping[str, Any]) -> list[str]:
    from raynb.magics.targets import candidates as named

    shown = (name for name, _ in named(namespace) if typed.startswith("_") or not name.startswith("_"))
    return sorted(shown) + _when_connected(_actors)


def _logs(typed: str, namespace: Mapping[str, Any]) -> list[str]:
    from raynb.magics.commands.logs import log_names
    from raynb.runtime.client.refs import current

    return _refs(typed, namespace) + _when_connected(lambda: log_names(current()))


def _actors() -> list[str]:
    from raynb.magics.targets import actor_names

    return actor_names()


def _functions() -> list[str]:
    from raynb.magics.commands.tasks import function_names
    from raynb.runtime.client.refs import current

    current().flush_events()  # what was called just now counts
    return function_names()


def _cells() -> list[str]:
    from raynb.magics.connected import cell_number
    from raynb.runtime.client.refs import current

    numbers = {number for token in current().cells() if (number := cell_number(token)) is not None}
    return [str(number) for number in sorted(numbers)]


def _when_connected(find: Callable[[], list[str]]) -> list[str]:
    """Nothing without a cluster: completion starts none."""
    from raynb.runtime.client import refs

    return find() if refs.connected() else []


_FINDERS: dict[str, Callable[[str, Mapping[str, Any]], list[str]]] = {
    "ref": _refs,
    "log": _logs,
    "actor": lambda typed, namespace: _when_connected(_actors),
    "function": lambda typed, namespace: _when_connected(_functions),
    "cell": lambda typed, namespace: _when_connected(_cells),
    "file": lambda typed, namespace: sorted(glob.glob(f"{glob.escape(typed)}*")),
}
