"""`%raynb scale N`: another number of CPUs, while the cluster runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from raynb.magics.arguments import Options, number, option
from raynb.magics.connected import need_cluster
from raynb.magics.session import Session
from raynb.runtime.api import cluster


@dataclass(frozen=True)
class ScaleOptions(Options):
    """Offer N CPUs from now on: more at once, fewer as tasks end.

    Nothing that runs is ended. With fewer, processes that have nothing to do any more end. Beyond the CPUs that the
    machine has, tasks share them. 0 lets what runs come to its end, and starts nothing new that needs a CPU.
    """

    usage: ClassVar[str] = "%raynb scale N"

    num_cpus: float = field(
        metadata=option("CPUs to offer", metavar="N", read=number, of="argument"),
    )


def scale(options: ScaleOptions, session: Session) -> None:
    """Scale, and say from what to what."""
    need_cluster()
    before = cluster.cluster_resources().get("CPU", 0.0)
    used = cluster.scaled(options.num_cpus)
    after = cluster.cluster_resources().get("CPU", 0.0)
    text = f"The cluster has {after:g} CPU now ({before:g} before)."
    if used > after:
        text += f" {used:g} are in use still; they go as tasks end, and nothing starts before."
    print(text)
