"""The commands of `%raynb`, each in a module of its own: a class of options, and a function that does it.

To add one, write a module with a class ``<Name>Options`` and a function ``<name>(options, session)``, and give it a
place in `HOMES`. The class's docstring is the help, its first paragraph the line in the list. The function returns what
is to be shown (anything with a repr, and perhaps ``_repr_html_``), or None; what the person did wrong it raises as an
`OptionError`. A module is loaded when its command is first used.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raynb.magics.arguments import Options

HOMES = {
    "init": "raynb.magics.commands.lifetime",
    "status": "raynb.magics.commands.status",
    "scale": "raynb.magics.commands.scale",
    "nodes": "raynb.magics.commands.nodes",
    "tasks": "raynb.magics.commands.tasks",
    "actors": "raynb.magics.commands.actors",
    "objects": "raynb.magics.commands.objects",
    "free": "raynb.magics.commands.free",
    "why": "raynb.magics.commands.why",
    "graph": "raynb.magics.commands.graph",
    "timeline": "raynb.magics.commands.timeline",
    "logs": "raynb.magics.commands.logs",
    "cancel": "raynb.magics.commands.cancel",
    "debug": "raynb.magics.commands.debug",
    "stop": "raynb.magics.commands.lifetime",
}
"""Where each command is, in the order in which they are listed."""


@dataclass(frozen=True)
class Command:
    """A command of `%raynb`."""

    name: str
    options: type[Options]
    run: Callable[[Any, Any], object]

    @property
    def summary(self) -> str:
        """Its help in a line."""
        return " ".join(inspect.cleandoc(self.options.__doc__ or "").partition("\n\n")[0].split())


class Commands(Mapping[str, Command]):
    """All commands by name; each is loaded when it is looked up."""

    def __getitem__(self, name: str) -> Command:
        module = importlib.import_module(HOMES[name])
        return Command(name, getattr(module, f"{name.capitalize()}Options"), getattr(module, name))

    def __contains__(self, name: object) -> bool:
        return name in HOMES

    def __iter__(self) -> Iterator[str]:
        return iter(HOMES)

    def __len__(self) -> int:
        return len(HOMES)


COMMANDS = Commands()


def listing() -> str:
    """The commands, a line each."""
    lines = [f"  {name:<9} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: %raynb COMMAND [options]", "", *lines, "", "%raynb COMMAND --help lists its options."])
