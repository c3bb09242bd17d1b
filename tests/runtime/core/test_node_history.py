"""Any history of a node that hypothesis can make up."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from raynb.runtime.core.node_effects import ClientExited, GcsStarted, WorkerExited
from raynb.runtime.messages.gcs import NodeRegistered
from raynb.runtime.messages.node import KillWorker, LeaveNode, WorkerBlocked, WorkerUnblocked
from tests.runtime.core.node_world import GCS, World, actor_message


class NodeHistory(RuleBasedStateMachine):
    """Clients, workers and the GCS come, ask, die; the invariants hold (`check`), and at the end all is free again."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(embedded=False, gpus=1)
        self.world.start(workers=1)
        self.drivers = 0

    def clients(self) -> list[str]:
        return [*self.world.machine.drivers, *self.world.living.values()]

    @rule()
    def driver(self) -> None:
        self.drivers += 1
        self.world.driver_joins(f"driver{self.drivers}")

    @precondition(lambda self: self.world.ordered)
    @rule(how=st.sampled_from(["joins", "joins", "joins", "dies"]))
    def worker(self, how: str) -> None:
        if how == "joins":
            self.world.worker_joins()
        else:
            self.world.handle(WorkerExited(self.world.ordered.pop(0), 0, "exit code 1"))

    @precondition(lambda self: self.clients())
    @rule(
        data=st.data(),
        key=st.integers(0, 3),
        count=st.integers(0, 4),
    )
    def demand(self, data: st.DataObject, key: int, count: int) -> None:
        resources = [{"CPU": 1.0}, {"CPU": 2.0}, {"GPU": 1.0, "CPU": 0.5}, {"CPU": 64.0}][key]
        self.world.demand(data.draw(st.sampled_from(self.clients())), count, key, **resources)

    @precondition(lambda self: self.world.grants)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.world.give_back(data.draw(st.sampled_from(list(self.world.grants))))

    @precondition(lambda self: self.world.living)
    @rule(data=st.data(), message=st.sampled_from([WorkerBlocked(), WorkerUnblocked(), LeaveNode()]))
    def worker_says(self, data: st.DataObject, message: Any) -> None:
        self.world.receive(data.draw(st.sampled_from(list(self.world.living.values()))), message)

    @precondition(lambda self: self.world.living)
    @rule(data=st.data())
    def worker_dies(self, data: st.DataObject) -> None:
        self.world.worker_dies(data.draw(st.sampled_from(list(self.world.living.values()))))

    @precondition(lambda self: self.world.machine.drivers)
    @rule(data=st.data(), orderly=st.booleans())
    def driver_goes(self, data: st.DataObject, orderly: bool) -> None:
        driver = data.draw(st.sampled_from(list(self.world.machine.drivers)))
        if orderly:
            self.world.receive(driver, LeaveNode())
        else:
            self.world.handle(ClientExited(driver, "its process ended"))

    @rule(number=st.integers(0, 3), incarnation=st.integers(0, 2), cpus=st.sampled_from([0.0, 1.0]))
    def start_actor(self, number: int, incarnation: int, cpus: float) -> None:
        self.world.receive(GCS, actor_message(number, incarnation, CPU=cpus))

    @rule(number=st.integers(0, 3), incarnation=st.integers(0, 2))
    def kill_actor(self, number: int, incarnation: int) -> None:
        self.world.receive(GCS, KillWorker("", "killed", actor_message(number).actor_id, incarnation))

    @rule(restarted=st.booleans())
    def gcs(self, restarted: bool) -> None:
        self.world.handle(GcsStarted()) if restarted else self.world.receive(GCS, NodeRegistered(1))

    @rule(seconds=st.sampled_from([0.05, 0.4, 7.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    def teardown(self) -> None:
        world = self.world
        for driver in list(world.machine.drivers):
            world.receive(driver, LeaveNode())
        for token in list(world.living):
            world.worker_dies(f"ipc://{token}")
        machine = world.machine
        assert machine.leases.available == machine.leases.total
        assert not machine.leases.by_number
        assert not machine.leases.demands


TestNodeHistory = NodeHistory.TestCase
TestNodeHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
