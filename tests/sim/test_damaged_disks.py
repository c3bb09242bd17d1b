"""Disks that don't give back what was written there: what can be made again is, and nobody sees what is wrong."""

from __future__ import annotations

import pytest

from raynb.runtime.core.lineage import Lineage
from tests.sim import workload as w
from tests.sim.run import Report, simulate

SEEDS = 24
CPU = {"CPU": 1.0}
MESSAGES = ("SealObjects", "TasksDone", "PushTasks")


def makes_more_than_memory_holds(seed: int, *, nodes: bool = False) -> w.Plan:
    """Tasks, a generator and an actor, all of which may run again, and a disk that damages some of what they make."""
    large = (w.Returned(3000),)
    functions = (
        w.RemoteFunction(0, (w.Sleep(0.003),), large, resources=CPU, retries=-1),
        w.RemoteFunction(1, (), (w.Returned(2000),) * 4, -1, CPU, -1, gap_s=0.01),
        w.RemoteFunction(2),
        w.RemoteFunction(3, (w.Sleep(0.002),), large, resources={}),
    )
    actor = w.ActorClass(0, 2, (3,), restarts=-1, task_retries=-1)
    driver = (
        w.Create(0),
        *(w.Call(0),) * 6,
        w.Call(1),
        *(w.Method(0, 0, deps=(seed % 3,)),) * 2,
        w.Sleep(0.4),
        *(w.Call(0, deps=(number, number + 3)) for number in range(3)),
        w.Method(0, 0, deps=(4, 5)),
        w.Take(0, 4),
        w.Get(tuple(range(17))),
        *(w.Call(0, deps=(number,)) for number in range(4)),
        w.Get(tuple(range(21))),
    )
    faults = tuple(
        w.Fault("rot", after=MESSAGES[number % 3], nth=3 + 4 * number + seed % 5, which=7 * seed + number)
        for number in range(5)
    ) + tuple(w.Fault("rot", at_s=0.1 * number, which=5 * seed + number) for number in range(1, 5))
    joining = (w.Joining(0.0, 2.0, store_bytes=12288, spills=True),) * 2 if nodes else ()
    limits = w.Limits(cpus=0.0 if nodes else 2.0, store_bytes=12288, spills=True)
    return w.Plan(seed, functions, (actor,), ((driver,),), faults, limits, (), joining)


def explain(report: Report) -> str:
    return f"{report.story}\n{report.plan.faults}\n{report.problem}\n{report.failures}"


@pytest.mark.parametrize("nodes", [False, True], ids=["one node", "several"])
def test_what_a_disk_has_damaged_is_made_again(nodes: bool) -> None:
    damaged = 0
    for seed in range(SEEDS):
        report = simulate(makes_more_than_memory_holds(seed, nodes=nodes))
        assert not report.problem and not report.failures, explain(report)
        damaged += report.counts["damaged"]
    assert damaged > SEEDS // 2


def test_that_is_seen_without_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lineage, "saw", lambda self, values: None)
    reports = [simulate(makes_more_than_memory_holds(seed)) for seed in range(SEEDS)]
    assert any(report.failures for report in reports)
