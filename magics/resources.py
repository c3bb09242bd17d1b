"""Whether the cluster could ever grant what a cell asks for: said at once, not by a task that waits for ever."""

from __future__ import annotations

from raynb.magics.arguments import ResourceOptions
from raynb.magics.errors import OptionError
from raynb.runtime.api.cluster import nodes
from raynb.runtime.api.session import connect


def check_feasible(options: ResourceOptions) -> None:
    """Look for a node that is large enough for the resources that were given.

    Raises
    ------
    OptionError
        There is none; names the resource and the most that a node has of it.
    """
    wanted = _wanted(options)
    if not wanted:
        return
    connect()  # starts a cluster, as submitting would
    have = [node["Resources"] for node in nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in have):
        return
    for name, amount in wanted.items():
        most = max((node.get(name, 0) for node in have), default=0)
        if most < amount:
            raise OptionError(
                f"no node has {amount:g} {name}: the most is {most:g}. Ask for less, or give a node more"
                f" (init(resources=...), num_cpus=...)."
            )
    raise OptionError(f"no single node has all of {wanted}. Ask for less, or add a larger node.")


def _wanted(options: ResourceOptions) -> dict[str, float]:
    given = {"CPU": options.num_cpus, "GPU": options.num_gpus, "memory": options.memory}
    wanted = {name: amount for name, amount in given.items() if amount}
    return wanted | {name: amount for name, amount in (options.resources or {}).items() if amount}
