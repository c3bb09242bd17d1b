"""`%raynb init` and `%raynb stop`: the beginning and the end of a notebook's cluster."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from raynb.magics.amounts import amounts
from raynb.magics.arguments import Options, number, option, resources, size
from raynb.magics.errors import OptionError
from raynb.magics.session import Session
from raynb.runtime.api import cluster
from raynb.runtime.api import session as connection


@dataclass(frozen=True)
class InitOptions(Options):
    """Start this notebook's cluster, or attach to the one that runs."""

    usage: ClassVar[str] = "%raynb init [options]"

    address: str | None = field(
        default=None,
        metadata=option("the cluster to attach to (auto: the one that runs)", metavar="ADDRESS", complete=("auto",)),
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
class StopOptions(Options):
    """Disconnect from the cluster, and stop it if this notebook has started it."""

    usage: ClassVar[str] = "%raynb stop"


def init(options: InitOptions, session: Session) -> None:
    """Start or attach, and say to what."""
    if connection.is_initialized():
        raise OptionError("this notebook has a cluster already: %raynb status shows it, %raynb stop ends it")
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    context = connection.init(**{name: value for name, value in given.items() if value is not None})
    print(f"raynb runs on {amounts(cluster.cluster_resources())}; session {context['session_dir']}")


def stop(options: StopOptions, session: Session) -> None:
    """Shut down, and say so."""
    if not connection.is_initialized():
        print("No cluster to stop.")
        return
    connection.shutdown()
    print("Stopped.")
