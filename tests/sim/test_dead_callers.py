"""A call of an actor, or a task on another node, reads what a third process owns, while its caller dies and that owner
lets go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim import workload as w
from tests.sim.arguments import Arguments
from tests.sim.run import simulate

SEEDS = 12


def of_an_actor(seed: int) -> w.Plan:
    """The driver owns an object; a task gives it to an actor, and its worker dies as the call arrives."""
    task = w.RemoteFunction(0, (w.Method(0, 0, deps=(0,)), w.Sleep(0.5)), retries=0)
    constructor = w.RemoteFunction(1)
    reads = w.RemoteFunction(2, (w.Sleep(0.15), w.DropView(0)), resources={})
    driver = (
        w.Put(1500),
        w.Create(0),
        w.Sleep(0.1),
        w.Call(0, nested=(0, 1)),
        w.Drop(0),
        w.Sleep(0.1),
        w.Put(1500),
        w.Sleep(0.3),
    )
    death = w.Fault("worker", after="PushTasks", nth=2, which=1)
    actor = w.ActorClass(0, 1, (2,))
    return w.Plan(seed, (task, constructor, reads), (actor,), ((driver,),), (death,), w.Limits(wild=0.0))


def on_another_node(seed: int) -> w.Plan:
    """The driver owns an object; a task gives it to one on another node, and its worker dies as that one begins."""
    task = w.RemoteFunction(0, (w.Call(1, deps=(0,)), w.Sleep(0.5)), resources={"special": 1.0}, retries=0)
    reads = w.RemoteFunction(1, (w.Sleep(0.3), w.DropView(0)), resources={"CPU": 1.0}, retries=0)
    driver = (
        w.Put(1500),
        w.Sleep(0.1),
        w.Call(0, nested=(0,)),
        w.Drop(0),
        w.Sleep(0.6),
        w.Put(1500),
        w.Sleep(0.3),
    )
    death = w.Fault("worker", after="ObjectsFetched", nth=1 + seed % 2, which=1)
    nodes = (w.Joining(0.0, 0.0, special=1.0), w.Joining(0.0, 2.0))
    return w.Plan(seed, (task, reads), (), ((driver,),), (death,), w.Limits(cpus=0.0, wild=0.0), (), nodes)


PLANS = pytest.mark.parametrize("plan", [of_an_actor, on_another_node])


@PLANS
def test_what_it_reads_stays(plan: Callable[[int], w.Plan]) -> None:
    for seed in range(SEEDS):
        report = simulate(plan(seed))
        assert not report.problem, f"{report.story}\n{report.problem}"


@PLANS
def test_without_asking_the_owner_it_would_not(plan: Callable[[int], w.Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Arguments, "must_ask", lambda self, job, value: False)
    problems = [report.problem for seed in range(SEEDS) if (report := simulate(plan(seed))).problem]
    assert any("views" in problem or "free memory" in problem for problem in problems), problems
