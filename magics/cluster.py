"""`%raynb COMMAND`: start, look at and stop the cluster from a cell."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from typing import Any

from raynb.magics import arguments
from raynb.magics.arguments import HelpRequested
from raynb.magics.commands import COMMANDS, InitOptions, StatusOptions, StopOptions, listing
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.magics.words import split
from raynb.runtime.api import cluster, session


def init(options: InitOptions) -> None:
    """Start or attach, and say to what."""
    if session.is_initialized():
        raise OptionError("this notebook has a cluster already: %raynb status shows it, %raynb stop ends it")
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    context = session.init(**{name: value for name, value in given.items() if value is not None})
    print(f"raynb runs on {_amounts(cluster.cluster_resources())}; session {context['session_dir']}")


def status(options: StatusOptions) -> None:
    """Print a table of the nodes and the resources."""
    if not session.is_initialized():
        print("No cluster: %raynb init starts one, and so does the first remote call.")
        return
    print("\n".join(_status_lines()))


def stop(options: StopOptions) -> None:
    """Shut down, and say so."""
    if not session.is_initialized():
        print("No cluster to stop.")
        return
    session.shutdown()
    print("Stopped.")


def _status_lines() -> Iterator[str]:
    nodes = cluster.nodes()
    alive = [node for node in nodes if node["Alive"]]
    yield f"{len(alive)} node{'s' if len(alive) != 1 else ''}" + (
        f", {len(nodes) - len(alive)} gone" if len(nodes) > len(alive) else ""
    )
    for node in alive:
        yield f"  {node['NodeID'][:8]}  {node['NodeManagerAddress']}  {_amounts(node['Resources'])}"
    total, free = cluster.cluster_resources(), cluster.available_resources()
    yield "in use"
    for name in sorted(total, key=_order):
        if not name.startswith("node:"):
            used = total[name] - free.get(name, 0)
            yield f"  {name:<20} {_amount(name, used)} of {_amount(name, total[name])}"


def _order(resource: str) -> tuple[bool, str]:
    return resource not in {"CPU", "GPU"}, resource


def _amounts(amounts: dict[str, float]) -> str:
    shown = [name for name in sorted(amounts, key=_order) if not name.startswith("node:")]
    return ", ".join(f"{_amount(name, amounts[name])} {name}" for name in shown)


def _amount(resource: str, amount: float) -> str:
    return f"{amount / 1e9:.1f} GB" if resource in {"memory", "object_store_memory"} else f"{amount:g}"


_ACTIONS: dict[str, Callable[[Any], None]] = {"init": init, "status": status, "stop": stop}


class ClusterCommands:
    """`%raynb` in one notebook."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, line: str) -> None:
        """Do what the line says.

        Raises
        ------
        OptionError
            An unknown command (with the list), or options that don't fit.
        """
        __tracebackhide__ = True
        words = arguments.expanded(split(line), self._session.namespace)
        if not words or words[0] in {"--help", "-h", "help"}:
            print(listing())
            return
        name, *rest = words
        if name not in COMMANDS:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise OptionError(f"%raynb has no command {name!r}.{hint}\n\n{listing()}")
        try:
            options = arguments.parse(COMMANDS[name], rest)
        except HelpRequested as help:
            print(help)
            return
        _ACTIONS[name](options)
