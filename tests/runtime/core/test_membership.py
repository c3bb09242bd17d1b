"""Who is alive: nodes by their silence, processes by what their nodes say."""

from __future__ import annotations

import pytest

from raynb.runtime.core.membership import NODE_DEAD_S, NODE_RETURN_S, NODE_SUSPECT_S, Membership, Node
from raynb.runtime.messages.gcs import RegisterNode
from raynb.runtime.messages.node import NodeStatus, WorkerListing, WorkerTable
from tests.runtime.core.gcs_harness import node_id


def registration(name: str, cpus: float = 2.0, host: str = "there", head: bool = False, **more: float) -> RegisterNode:
    return RegisterNode(node_id(name), name, 1, host, "ip", head, {"CPU": cpus, **more}, {}, 1.0, [], [])


def members(*nodes: RegisterNode) -> Membership:
    membership = Membership("here")
    for node in nodes:
        assert membership.register(node) is not None
    return membership


def pass_time(membership: Membership, seconds: float, start: float = 0.0, step: float = 0.5) -> list[Node]:
    dead: list[Node] = []
    steps = int(seconds / step)
    for number in range(steps + 1):
        dead += [node for node, _ in membership.tick(start + number * step)]
    return dead


def test_a_silent_node_is_suspected_first_and_dead_after_a_minute() -> None:
    membership = members(registration("n1"))
    node = membership.nodes[node_id("n1")]
    assert pass_time(membership, NODE_SUSPECT_S) == [] and node.message == ""
    assert pass_time(membership, 10, 5.5) == []
    assert node.alive and "nothing was heard" in node.message
    membership.status("n1", NodeStatus(node.id, {}, 0, 0, 0, 0, {}))
    assert node.message == "" and pass_time(membership, NODE_DEAD_S - 2, 16) == []
    assert node in pass_time(membership, 4, 16 + NODE_DEAD_S - 2)


def test_the_gcss_own_sleep_is_nobodys_silence() -> None:
    membership = members(registration("n1"))
    assert pass_time(membership, 100_000, step=50.0) == []
    assert membership.nodes[node_id("n1")].silent_s == 0.0


def test_a_node_of_the_same_host_is_never_dead_for_silence() -> None:
    membership = members(registration("n1", host="here"))
    assert pass_time(membership, 10 * NODE_DEAD_S) == []


def test_a_node_from_before_the_restart_has_a_while_to_come_back() -> None:
    before = members(registration("n1"), registration("n2"))
    after = Membership("here")
    for node in before.nodes.values():
        value = node.write().value
        assert value is not None
        after.load(value)
    assert not after.settled and after.place({"CPU": 1}) == b""
    found = after.register(registration("n1"))
    assert found is not None and found[1], "it is there for the first time"
    assert {node.id for node in pass_time(after, NODE_RETURN_S + 1)} == {node_id("n2")}


def test_all_processes_of_a_dead_node_are_dead() -> None:
    membership = members(registration("n1"))
    listing = WorkerListing(b"w", "w1", 5, "worker", "idle")
    membership.worker_table("n1", WorkerTable(node_id("n1"), [listing]))
    membership.meet("driver", membership.nodes[node_id("n1")])
    deaths, writes = membership.node_died(membership.nodes[node_id("n1")], "its cable was cut", 5.0)
    assert [death.address for death in deaths] == ["n1", "w1", "driver"]
    for death in deaths:
        assert membership.process_died(death.address, death.reason, 9.0)
        assert not membership.process_died(death.address, death.reason, 9.0), "once"
    membership.check()
    assert membership.register(registration("n1")) is None, "dead is for good"
    assert len(writes) == 1


def test_a_dead_workers_last_listing_is_remembered() -> None:
    membership = members(registration("n1"))
    membership.worker_table("n1", WorkerTable(node_id("n1"), [WorkerListing(b"w", "w1", 5, "worker", "idle")]))
    membership.process_died("w1", "exit code 3", 9.0)
    node = membership.nodes[node_id("n1")]
    assert [(listing.state, listing.reason) for listing in node.dead_workers.values()] == [("dead", "exit code 3")]
    membership.check()


@pytest.mark.parametrize(
    ("need", "free", "chosen"),
    [
        ({"CPU": 1.0}, {}, "big"),
        ({"CPU": 1.0}, {"big": 0.0}, "head"),
        ({"CPU": 1.0}, {"big": 0.0, "head": 0.0}, "head"),
        ({"CPU": 6.0}, {"big": 0.0}, "big"),
        ({"CPU": 99.0}, {}, "head"),
        ({"gold": 1.0}, {}, "head"),
        ({}, {}, "big"),
    ],
)
def test_an_actor_goes_where_there_is_room_or_where_there_ever_could_be(
    need: dict[str, float], free: dict[str, float], chosen: str
) -> None:
    membership = members(registration("head", 4.0, head=True), registration("big", 8.0))
    for name, cpus in free.items():
        membership.status(name, NodeStatus(node_id(name), {"CPU": cpus}, 0, 0, 0, 0, {}))
    assert membership.place(need) == node_id(chosen)


def test_actors_that_hold_nothing_are_shared_out() -> None:
    names = ("head", "second", "third")
    membership = members(*(registration(name, 1.0, head=name == "head") for name in names))
    placed = [membership.place({}) for _ in range(9)]
    assert {node: placed.count(node) for node in placed} == {node_id(name): 3 for name in names}


def test_gpus_are_spared_for_what_asks_for_them() -> None:
    membership = members(registration("head", 1.0, head=True), registration("gpus", 8.0, GPU=2.0))
    assert membership.place({}) == node_id("head")
    assert membership.place({"CPU": 1.0}) == node_id("head")
    assert membership.place({"CPU": 1.0}) == node_id("gpus"), "the other one is taken"
    assert membership.place({"GPU": 1.0}) == node_id("gpus")


def test_of_a_node_that_nobody_knows_nothing_is_said_until_it_should_have_registered() -> None:
    members = Membership("here")
    far = "ipc:///far/p/w"
    members.tick(0.0)
    assert members.gone([far]) == []
    for second in range(1, 15):
        members.tick(float(second))
    assert [died.address for died in members.gone([far])] == [far]
