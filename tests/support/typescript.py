"""The vocabulary of the screens as TypeScript, so that the front end can't misspell it.

``python -m tests.support.typescript`` (in the repository) writes it anew. What is generated is as prettier would
have it.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import FieldInfo, fields

from raynb.runtime.messages import screen
from raynb.runtime.messages.events import TASK_STATES

GENERATED = Path(__file__).parents[2] / "labextension" / "src" / "generated" / "screen.ts"
WIDTH = 100
PLAIN: dict[Any, str] = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
PLAIN[Any] = "unknown"
ATTRIBUTE = re.compile(r"^([a-z_]+(?:, [a-z_]+)*)\n((?: {4}.*(?:\n|$)|\n)+)", re.MULTILINE)


def structs() -> list[type[msgspec.Struct]]:
    """Those that `screen` defines, in its order."""
    found = [thing for thing in vars(screen).values() if inspect.isclass(thing) and issubclass(thing, msgspec.Struct)]
    return [struct for struct in found if struct.__module__ == screen.__name__]


def unions() -> dict[str, Any]:
    """The unions that `screen` gives a name."""
    return {name: thing for name, thing in vars(screen).items() if isinstance(thing, UnionType)}


def expression(hint: Any) -> str:
    """A type of Python as one of TypeScript."""
    for name, union in unions().items():
        if hint == union:
            return name
    if hint in PLAIN:
        return PLAIN[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(_text(value) for value in args)
    if origin in (Union, UnionType):
        return " | ".join(expression(arg) for arg in args)
    if origin is list or (origin is tuple and args[1:] == (...,)):
        inner = expression(args[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if origin is tuple:
        return f"[{', '.join(map(expression, args))}]"
    if origin is dict:
        return f"Record<{', '.join(map(expression, args))}>"
    if inspect.isclass(hint) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    raise TypeError(f"there is no TypeScript for {hint!r}")


def reached(root: Any) -> set[type[msgspec.Struct]]:
    """The structs that a type is made of."""
    if inspect.isclass(root) and issubclass(root, msgspec.Struct):
        hints = get_type_hints(root).values()
        return {root}.union(*map(reached, hints))
    return set().union(*map(reached, get_args(root)))


def comment(text: str, indent: str = "") -> list[str]:
    """A documentation comment; none for no text."""
    lines = text.replace("``", "`").strip().splitlines()
    if not lines:
        return []
    if len(lines) == 1 and len(indent) + len(lines[0]) + 7 <= WIDTH:
        return [f"{indent}/** {lines[0]} */"]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in lines), f"{indent} */"]


def described(struct: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the struct, and of its fields."""
    whole, _, attributes = inspect.cleandoc(struct.__doc__ or "").partition("\nAttributes\n----------\n")
    texts: dict[str, str] = {}
    for match in ATTRIBUTE.finditer(attributes):
        names = match[1].split(", ")
        texts[names[0]] = inspect.cleandoc(match[2])
    return whole, texts


def interface(struct: type[msgspec.Struct], sent_by_screen: bool) -> str:
    """One struct. What has a default a screen need not send; what it is told is always there."""
    whole, texts = described(struct)
    lines = [*comment(whole), f"export interface {struct.__name__} {{"]
    config = struct.__struct_config__
    if config.tag_field:
        lines.append(f"  {config.tag_field}: {_text(config.tag)};")
    hints = get_type_hints(struct)
    for field in fields(struct):
        lines += comment(texts.get(field.name, ""), "  ")
        optional = "?" if sent_by_screen and not _required(field) else ""
        lines.append(f"  {field.encode_name}{optional}: {expression(hints[field.name])};")
    return "\n".join([*lines, "}"])


def _required(field: FieldInfo) -> bool:
    return field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT


def alias(name: str, union: Any) -> str:
    """A named union, on one line if it has room."""
    members = [expression(arg) for arg in get_args(union)]
    line = f"export type {name} = {' | '.join(members)};"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"export type {name} =", *(f"  | {member}" for member in members)]) + ";"


def generated() -> str:
    """The whole module."""
    asked = reached(screen.Request)
    states = ",\n".join(f"  {_text(state)}" for state in TASK_STATES)
    parts = [
        "// Generated from runtime/messages/screen.py by `python -m tests.support.typescript`: edit that.",
        "\n".join(comment(screen.__doc__ or "")),
        f"export const SCREEN_PROTOCOL = {screen.SCREEN_PROTOCOL};",
        f"/** The order of all counts by state. */\nexport const TASK_STATES = [\n{states}\n] as const;",
    ]
    written: set[str] = set()
    pending = unions()
    for struct in structs():
        parts.append(interface(struct, struct in asked))
        written.add(struct.__name__)
        for name, union in list(pending.items()):
            if {arg.__name__ for arg in get_args(union)} <= written:
                parts.append(alias(name, union))
                del pending[name]
    return "\n\n".join(parts) + "\n"


def _text(value: object) -> str:
    return f"'{value}'"


if __name__ == "__main__":
    GENERATED.parent.mkdir(exist_ok=True)
    GENERATED.write_text(generated())
