"""Placement groups, whatever dies between the phases in which they are made and removed."""

from __future__ import annotations

import pytest

from raynb.runtime.core.node_bundles import NodeBundles
from tests.sim import workload as w
from tests.sim.run import Report, simulate

PHASES = (
    "CreateGroup", "ReserveBundles", "BundlesReserved", "CommitBundles", "BundlesCommitted", "RemoveGroup",
    "ReturnBundles", "RegisterNode", "KeepBundles",
)  # fmt: skip
LASTING_S = 0.4


def plan(seed: int, after: str = "", nth: int = 1, kind: str = "gcs") -> w.Plan:
    """Two groups, tasks and an actor in them, some of which run when they are removed."""
    quick, slow = w.RemoteFunction(0), w.RemoteFunction(1, (w.Sleep(2.5),), retries=1)
    constructor, method = w.RemoteFunction(2), w.RemoteFunction(3, (w.Sleep(0.001),))
    actor = w.ActorClass(0, 2, (3,), restarts=1, task_retries=1)
    driver = (
        w.CreateGroup((1.0, 1.0), "PACK"),
        w.Call(0, place=w.Place(0)),
        w.Call(1, place=w.Place(0, 0)),
        w.Create(0, place=w.Place(0, 1)),
        w.CreateGroup((2.0,), "STRICT_PACK"),
        w.Method(0, 0),
        w.Call(0, place=w.Place(1)),
        w.Get((0, 2)),
        w.RemoveGroup(0),
        w.Call(0, place=w.Place(0, 0)),
        w.Sleep(0.2),
        w.Call(1, place=w.Place(0)),
        w.Get((4,)),
    )
    faults = (w.Fault(kind, after=after, nth=nth, lasting_s=LASTING_S),) if after else ()
    limits = w.Limits(cpus=4.0, wild=0.0 if seed % 2 else 0.5)
    return w.Plan(seed, (quick, slow, constructor, method), (actor,), ((driver,),), faults, limits)


def explain(report: Report) -> str:
    return f"{report.story}\n{report.plan.faults}\n{report.problem}"


@pytest.mark.parametrize("after", PHASES)
def test_they_are_placed_and_removed_although_the_gcs_is_killed(after: str) -> None:
    for seed in range(6):
        report = simulate(plan(seed, after, nth=1 + seed // 2))
        assert not report.problem, explain(report)


@pytest.mark.parametrize("kind", ["worker", "store-away", "driver"])
def test_whatever_else_goes_wrong_nothing_of_them_is_left(kind: str) -> None:
    for seed, after in enumerate((*PHASES, "PushTasks", "StartActor", "TasksDone")):
        report = simulate(plan(seed, after, kind=kind))
        assert not report.problem, explain(report)


def test_what_runs_in_a_removed_one_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not simulate(plan(1)).problem
    monkeypatch.setattr(NodeBundles, "_end", lambda self, grants, now: [])
    assert "said to be removed" in simulate(plan(1)).problem
