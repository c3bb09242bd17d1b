"""Several nodes: whatever dies, what can be had is had. No failure is excused here."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from raynb.runtime.messages.gcs import CreateActor
from raynb.runtime.messages.transfers import TryAnother
from tests.sim import workload as w
from tests.sim.cluster import Cluster
from tests.sim.generate import NODE_MESSAGES
from tests.sim.run import Report, simulate

ENDS = ("KillActor", "ActorState", "ExitWorker", "CreateActor", "StartActor", "ActorStarted")
TWO_NODES = (w.Joining(0.0, 2.0), w.Joining(0.0, 2.0))
CPU = {"CPU": 1.0}


def makes_again(seed: int, fault: w.Fault | None = None) -> w.Plan:
    """Chains of tasks, a generator and an actor on two nodes beside the head, which has no CPU; all may run again."""
    large = (w.Returned(1500),)
    functions = (
        w.RemoteFunction(0, (w.Sleep(0.003),), large, resources=CPU, retries=-1),
        w.RemoteFunction(1, (w.Sleep(0.003),), (w.Returned(700), w.Returned(8)), 2, CPU, -1),
        w.RemoteFunction(2, (), (w.Returned(700),) * 4, -1, CPU, -1, gap_s=0.01),
        w.RemoteFunction(3),
        w.RemoteFunction(4, (w.Sleep(0.002),), large, resources={}),
    )
    actor = w.ActorClass(0, 3, (4,), restarts=-1, task_retries=-1, resources={"special": 0.5})
    driver = (
        w.Create(0),
        *(w.Call(0),) * 3,
        w.Call(1, deps=(0, 1)),
        w.Call(0, deps=(3,)),
        w.Call(2, deps=(2,)),
        w.Method(0, 0, deps=(0,)),
        w.Call(1, deps=(5, 6)),
        w.Sleep(0.05),
        w.Get((3, 5), keep=True),
        w.Put(700),
        w.Call(0, deps=(9,)),
        w.Drop(9),
        w.Call(0, deps=(7, 3), nested=(5,)),
        w.Drop(0),
        w.Take(0, 4),
        w.Get((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)),
        *(w.DropView(0),) * 2,
    )
    nodes = tuple(w.Joining(0.0, 2.0, special=1.0) for _ in range(2))
    later = (w.Joining(0.1, 2.0, special=1.0),)
    faults = (fault,) if fault is not None else ()
    return w.Plan(seed, functions, (actor,), ((driver,),), faults, w.Limits(cpus=0.0, special=0.0), (), nodes + later)


def makes_again_by_actors_that_are_gone(seed: int, fault: w.Fault | None = None) -> w.Plan:
    """What an actor has made, and a task that was given it, is lost when nobody has a handle of it any more."""
    large = (w.Returned(1500),)
    functions = (
        w.RemoteFunction(0, (w.Sleep(0.003),), large, resources=CPU, retries=-1),
        w.RemoteFunction(1, (w.Sleep(0.002),)),
        w.RemoteFunction(2, (w.Sleep(0.002),), large, resources={}),
        w.RemoteFunction(3, (w.Method(0, 0), w.Get((0,))), large, resources=CPU, retries=-1),
    )
    actor = w.ActorClass(0, 1, (2,), restarts=-1, task_retries=-1, resources={"special": 0.5})
    driver = (
        w.Call(0),
        w.Create(0, deps=(0,)),
        w.Method(0, 0, deps=(0,)),
        w.Method(0, 0),
        w.Call(3, nested=(3,)),
        w.Drop(0),
        w.DropHandle(0),
        w.Wait((0, 1, 2), 3),
        w.Sleep(0.2),
        w.Call(0, deps=(0, 2)),
        w.Sleep(0.2),
        w.Get((0, 1, 2, 3)),
    )
    nodes = tuple(w.Joining(0.0, 2.0, special=1.0) for _ in range(2))
    later = (w.Joining(0.1, 2.0, special=1.0),)
    faults = (fault,) if fault is not None else ()
    return w.Plan(seed, functions, (actor,), ((driver,),), faults, w.Limits(cpus=0.0, special=0.0), (), nodes + later)


def reads_in_small_stores(seed: int) -> w.Plan:
    """Tasks on nodes with little memory read many large objects of the head."""
    reader = w.RemoteFunction(0, (w.Sleep(0.002), w.DropView(0), w.Sleep(0.002)), resources=CPU)
    calls = tuple(w.Call(0, deps=(i, i + 3, i + 5)) for i in range(24))
    driver = (*(w.Put(3000),) * 10, *(replace_deps(call, 10) for call in calls), w.Get(tuple(range(34))))
    nodes = tuple(w.Joining(0.0, 2.0, store_bytes=16384) for _ in range(3))
    return w.Plan(seed, (reader,), (), ((driver,),), (), w.Limits(cpus=0.0), (), nodes)


def reads_one_object_everywhere(seed: int) -> w.Plan:
    """Tasks on six nodes want the same object at once."""
    reader = w.RemoteFunction(0, (w.Sleep(0.1), w.DropView(0)), resources=CPU)
    driver = (w.Put(3000), w.Sleep(0.3), *(w.Call(0, deps=(0,)),) * 6, w.Get(tuple(range(7))))
    nodes = (w.Joining(0.0, 1.0),) * 6
    return w.Plan(seed, (reader,), (), ((driver,),), (), w.Limits(cpus=0.0, wild=seed % 2), (), nodes)


def replace_deps(call: w.Call, among: int) -> w.Call:
    return w.Call(call.function, tuple(i % among for i in call.deps))


def explain(report: Report) -> str:
    return f"{report.story}\n{report.plan.faults}\n{report.problem}\n{report.failures}"


def test_nothing_fails_where_nothing_dies() -> None:
    for seed in range(12):
        report = simulate(makes_again(seed))
        assert not report.problem and not report.failures, explain(report)


@pytest.mark.parametrize("after", NODE_MESSAGES)
def test_what_a_dead_node_had_is_made_again(after: str) -> None:
    for seed, nth in enumerate((1, 2, 3, 5, 8, 13)):
        report = simulate(makes_again(seed, w.Fault("far-node", after=after, nth=nth, which=seed)))
        assert not report.problem and not report.failures, explain(report)


def test_actors_that_are_gone_make_again_what_is_lost() -> None:
    revived = 0

    def prepare(cluster: Cluster) -> None:
        cluster.network.taps.append(count)

    def count(sender: str, to: str, message: object) -> None:
        nonlocal revived
        revived += isinstance(message, CreateActor) and message.revival > 0

    moments = [w.Fault("far-node", at_s=0.02 * step) for step in range(1, 40)]
    moments += [w.Fault("far-node", after=kind, nth=nth) for kind in ENDS for nth in (1, 2, 3)]
    for seed in range(3):
        for which in range(3):
            for moment in moments:
                plan = makes_again_by_actors_that_are_gone(seed, replace(moment, which=which))
                report = simulate(plan, prepare=prepare)
                assert not report.problem and not report.failures, explain(report)
    assert revived > 100


def test_who_has_an_object_whole_sends_it_to_others() -> None:
    told = []

    def prepare(cluster: Cluster) -> None:
        cluster.network.taps.append(lambda sender, to, message: told.append(isinstance(message, TryAnother)))

    for seed in range(12):
        report = simulate(reads_one_object_everywhere(seed), prepare=prepare)
        assert not report.problem and not report.failures, explain(report)
    assert any(told)


def test_copies_make_room_for_others() -> None:
    for seed in range(12):
        report = simulate(reads_in_small_stores(seed))
        assert not report.problem and not report.failures, explain(report)
