"""Reads ``surface.txt``, and looks up what raynb has instead of each of its rows."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TABLE = Path(__file__).with_name("surface.txt")


class Row(NamedTuple):
    """One name of Ray's.

    Attributes
    ----------
    path
        ``ray.get`` or ``ray.ObjectRef.hex``.
    parameters
        Python source of its parameters without annotations; None for a property, and where anything goes.
    """

    path: str
    parameters: str | None
    is_property: bool = False


def rows() -> Iterator[Row]:
    """All rows of the table that are names with signatures."""
    parent = ""
    for line in TABLE.read_text().splitlines():
        text = line.strip()
        if line.startswith("ray."):
            path, _, rest = text.partition("(")
            parent = path
        elif line.startswith("    ."):
            path, _, rest = text.partition("(")
            path = parent + path.strip()
        else:
            continue
        if rest == "property)":
            yield Row(path.rstrip(), None, is_property=True)
        else:
            parameters = rest.removesuffix(")")
            yield Row(path, None if parameters == "..." else parameters)


def listed(prefix: str) -> list[str]:
    """The entries of a line such as ``TaskState: task_id, attempt_number, ...``."""
    for line in TABLE.read_text().splitlines():
        if line.startswith(f"{prefix}: "):
            return line.removeprefix(f"{prefix}: ").split(", ")
    raise KeyError(prefix)


def states() -> list[str]:
    """The kinds of rows of the state API."""
    return [line.partition(":")[0] for line in TABLE.read_text().splitlines() if "State: " in line]


def find(path: str, package: str) -> Any:
    """What stands under a dotted path, imported where it is a module.

    Raises
    ------
    AttributeError
        Nothing does.
    """
    found: Any = importlib.import_module(package)
    name = package
    for part in path.split(".")[1:]:
        name = f"{name}.{part}"
        try:
            found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(name)
            except ImportError:
                raise AttributeError(f"there is no {name}") from None
    return found


def differences(row: Row, found: Any) -> list[str]:
    """In what a raynb object differs from a row: parameters that are missing, of another kind or default, or more that
    a caller would have to give."""
    if row.is_property:
        return [] if isinstance(found, property) else ["it is no property"]
    if row.parameters is None:
        return []
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    scope: dict[str, Any] = {"inf": float("inf")}
    exec(f"def wanted({row.parameters}): pass", scope)
    wanted = {p.name: p for p in inspect.signature(scope["wanted"]).parameters.values()}
    given = {p.name: p for p in inspect.signature(found).parameters.values()}
    for one in (wanted, given):
        for name in ("self", "cls"):
            one.pop(name, None)
    problems = []
    takes_all = any(p.kind is p.VAR_KEYWORD for p in given.values())
    for name, parameter in wanted.items():
        other = given.get(name)
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            if not any(p.kind is parameter.kind for p in given.values()):
                problems.append(f"takes no {parameter}")
        elif other is None:
            if not (takes_all and parameter.kind is parameter.KEYWORD_ONLY):
                problems.append(f"has no {name}")
        elif (parameter.kind, repr(parameter.default)) != (other.kind, repr(other.default)):
            problems.append(f"has {other.kind.description} {other}, not {parameter.kind.description} {parameter}")
    for name, other in given.items():
        if (
            name not in wanted
            and other.default is other.empty
            and other.kind not in (other.VAR_KEYWORD, other.VAR_POSITIONAL)
        ):
            problems.append(f"asks for {other} too")
    return problems
