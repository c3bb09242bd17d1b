"""The commands of `%raynb` and their options, as values with types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from raynb.magics.arguments import Options, number, option, resources, size


@dataclass(frozen=True)
class InitOptions(Options):
    """Start this notebook's cluster, or attach to the one that runs."""

    usage: ClassVar[str] = "%raynb init [options]"

    address: str | None = field(
        default=None,
        metadata=option("the cluster to attach to (auto: the one that runs)", metavar="ADDRESS"),
    )
    num_cpus: float | None = field(
        default=None,
        metadata=option("CPUs to use (all)", metavar="N", read=number),
    )
    num_gpus: float | None = field(
        default=None,
        metadata=option("GPUs to use (all)", metavar="N", read=number),
    )
    resources: dict[str, float] | None = field(
        default=None,
        metadata=option("other resources to have: licence=1,disk=0.5", metavar="NAME=N,...", read=resources),
    )
    object_store_memory: int | None = field(
        default=None,
        metadata=option("shared memory for objects: 2GB", metavar="BYTES", read=size),
    )
    namespace: str | None = field(
        default=None,
        metadata=option("namespace of named actors", metavar="NAME"),
    )


@dataclass(frozen=True)
class StatusOptions(Options):
    """Show the nodes and how much of their resources is in use."""

    usage: ClassVar[str] = "%raynb status"


@dataclass(frozen=True)
class StopOptions(Options):
    """Disconnect from the cluster, and stop it if this notebook has started it."""

    usage: ClassVar[str] = "%raynb stop"


COMMANDS: dict[str, type[Options]] = {"init": InitOptions, "status": StatusOptions, "stop": StopOptions}
"""Each command's class of options, whose docstring is its help."""


def listing() -> str:
    """The commands, a line each."""
    lines = [f"  {name:<8} {' '.join((options.__doc__ or '').split())}" for name, options in COMMANDS.items()]
    return "\n".join(["usage: %raynb COMMAND [options]", "", *lines, "", "%raynb COMMAND --help lists its options."])
