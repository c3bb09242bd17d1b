"""One run of a plan, from the first process to the last count at zero."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.verdict import leftovers, what_hangs
from tests.sim.workload import Plan
from tests.sim.world import Violation

FAULTS_END_S = 6.0
SETTLE_S = 120.0
ZERO_S = 20.0
STORY_LINES = 4000


class Report(Struct):
    """What came of a run. ``problem`` is empty if all promises were kept."""

    plan: Plan
    problem: str = ""
    story: str = ""
    steps: int = 0
    seconds: float = 0.0
    summary: int = 0
    counts: dict[str, int] = {}
    failures: dict[str, int] = {}


def simulate(plan: Plan, *, digest: bool = False, prepare: Callable[[Cluster], None] | None = None) -> Report:
    """Run a plan. Whatever goes wrong is in the report.

    Parameters
    ----------
    digest
        Whether to sum up the log, to compare runs.
    prepare
        Called with the cluster before anything happens.
    """
    report = Report(plan)
    cluster: Cluster | None = None
    try:
        cluster = Cluster(plan, digest=digest)
        if prepare is not None:
            prepare(cluster)
        _run(cluster)
    except Violation as error:
        report.problem = str(error)
    except Exception as error:
        report.problem = f"{type(error).__name__}: {error}\n{_where(error)}"
    if cluster is not None:
        report.story = cluster.world.story(STORY_LINES) if report.problem else ""
        report.steps, report.seconds = cluster.world.steps, cluster.world.now
        report.summary = cluster.world.summary
        report.counts = dict(cluster.oracle.counts)
        report.failures = dict(cluster.oracle.failure_kinds)
    return report


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return "\n".join(
        f"  {frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}: {frame.line}" for frame in frames
    )


def _run(cluster: Cluster) -> None:
    world = cluster.world
    faults = Faults(cluster)
    through = world.run(FAULTS_END_S, lambda: cluster.through)
    faults.stop()
    if not through and not world.run(world.now + SETTLE_S, lambda: cluster.through):
        raise Violation(f"not everything is settled {SETTLE_S:g} s after the last fault:\n{what_hangs(cluster)}")
    if not cluster.node.alive:
        return
    _to_zero(cluster)


def _to_zero(cluster: Cluster) -> None:
    """Everybody has let go of everything: so nothing may be left."""
    world = cluster.world
    janitor = cluster.janitor()

    def swept() -> bool:
        return bool(janitor.threads) and all(thread.done for thread in janitor.threads)

    if not world.run(world.now + SETTLE_S, swept):
        raise Violation(f"a new driver can't do its work:\n{what_hangs(cluster)}")
    left: list[Any] = []

    def at_zero() -> bool:
        left[:] = leftovers(cluster)
        return not left

    began = world.now
    reached = world.run(began + ZERO_S, at_zero)
    if not reached and cluster.oracle.facts.store_full:
        # Whatever still runs waits for room, again and again.
        reached = world.run(began + 6 * ZERO_S, at_zero)
    if not reached and leftovers(cluster):
        lines = "\n".join(map(str, leftovers(cluster)))
        raise Violation(f"all was let go of {world.now - began:g} s ago, but this is left:\n{lines}")
