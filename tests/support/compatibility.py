"""docs/ray-compatibility.md, made from the code: ``python -m tests.support.compatibility`` writes it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from raynb.differences import ABSENT, DIFFERENCES, REFUSED, Absent, AbsentModule
from raynb.runtime.api import options, runtime_env
from raynb.runtime.api.system_config import CALLED_OTHERWISE, WITHOUT_EFFECT

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ray-compatibility.md"
NAMES = Path(__file__).with_name("ray_names.txt")

HEAD = """# What of Ray's programming interface raynb has

`import raynb as ray` runs programs that use the names below; `raynb.install_as_ray()`, or `python -m raynb.as_ray
program.py`, runs those that say `import ray` (where Ray is not installed, and before a cluster is started); programs
that they start find `ray`, too, as a module and as a command. Names are those of Ray 2.60, without
`ray.`. This page is made from the code: `python -m tests.support.compatibility`.
"""


def known_names() -> list[str]:
    """Public names of Ray's core, of its utilities and of its exceptions."""
    return [line.removeprefix("ray.") for line in NAMES.read_text().split()]


def found(name: str) -> bool:
    """Whether raynb has it."""
    parts = name.split(".")
    thing: Any = importlib.import_module("raynb")
    for at, part in enumerate(parts, 1):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            try:
                thing = importlib.import_module(".".join(["raynb", *parts[:at]]))
            except ModuleNotFoundError:
                return False
    return not isinstance(thing, Absent | AbsentModule)


def owner(name: str) -> str:
    """The module or class that a name belongs to; the module itself is `ray`."""
    return name.rpartition(".")[0] or "ray"


def page() -> str:
    """The whole text."""
    names = known_names()
    there = {name for name in names if found(name)}
    lines = [HEAD, "## There", "", "| in | names |", "| --- | --- |"]
    for group, members in groupby(sorted(there, key=lambda name: (owner(name), name)), owner):
        shown = ", ".join(f"`{name.rpartition('.')[2]}`" for name in members)
        lines.append(f"| `{group}` | {shown} |")
    missing = [name for name in names if name not in there and owner(name) not in set(names) - there]
    if missing:
        lines += ["", "## Not there yet", "", ", ".join(f"`{name}`" for name in sorted(missing)) + "."]
    lines += ["", "## Otherwise than in Ray", "", *table("name", "what is different", sorted(DIFFERENCES.items()))]
    lines += ["", "## Refused by name", "", *table("name", "why", sorted(REFUSED.items()))]
    lines += ["", "## Refused when it is used: modules that can be imported, and all below them", ""]
    lines += table("name", "why", sorted(ABSENT.items()))
    lines += ["", "## What tests import from Ray's own workings", "", *table("module", "what is there", helpers())]
    lines += [
        "",
        "## Names of Ray's in `_system_config`",
        "",
        "Those of the first table may also be given by environment variables, as `RAY_name`.",
        "",
        *table("name", "raynb's", [(name, f"`{ours}`") for name, (ours, _) in sorted(CALLED_OTHERWISE.items())]),
        "",
        *table("name", "no effect, since", sorted(WITHOUT_EFFECT.items())),
    ]
    refused = [(name, "not there") for name in sorted(options.REFUSED)]
    lines += ["", *table("option of a task or an actor", "why", refused)]
    lines += ["", *table("field of a `runtime_env`", "instead", sorted(runtime_env.UNSUPPORTED.items()))]
    return "\n".join(lines) + "\n"


def helpers() -> list[tuple[str, str]]:
    """Modules under names that begin with an underscore, and the names in them."""
    found = ["_raylet", "experimental.internal_kv"]
    for package in ("_common", "_private"):
        home = importlib.import_module(f"raynb.{package}")
        found += [f"{package}.{module.name}" for module in iter_modules(home.__path__)]
    return [(name, ", ".join(f"`{each}`" for each in public(name))) for name in sorted(found)]


def public(module: str) -> list[str]:
    """What a module says that it has."""
    found = importlib.import_module(f"raynb.{module}")
    return sorted(getattr(found, "__all__", None) or (name for name in vars(found) if name.isupper()))


def table(left: str, right: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {left} | {right} |"
    yield "| --- | --- |"
    for name, words in rows:
        yield f"| `{name}` | {words} |"


if __name__ == "__main__":
    PAGE.write_text(page())
