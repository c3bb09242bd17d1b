"""The node manager's decisions: who may join, what a death means, when it all ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.core.node_effects import (
    ClientExited,
    ForgetPeer,
    GcsStarted,
    Measured,
    StopRequested,
    WatchProcess,
)
from raynb.runtime.messages.gcs import FinishJob, NodeRegistered, RegisterNode, Reply
from raynb.runtime.messages.node import (
    KillWorker,
    LeaseDemand,
    LeaseGranted,
    LeaseInfeasible,
    LeaseReclaim,
    LeaseReturned,
    LeaveNode,
    LocateObject,
    NodeJoined,
    NodeStatus,
    ProcessDied,
    StartActor,
    StopNode,
    StoreUsage,
    WorkerBlocked,
    WorkerTable,
    WorkerUnblocked,
)
from raynb.runtime.messages.objects import AllocateExtent
from raynb.runtime.messages.tasks import LastWords
from tests.runtime.core.node_world import GCS, ME, World, actor_message, join_message, sent

# -- joining


def test_a_driver_is_told_where_everything_is_and_watched() -> None:
    world = World()
    joined = world.driver_joins(pid=4711)
    assert joined.error == ""
    assert (joined.gcs, joined.session, joined.store_prefix) == (GCS, "session", "raynb-session-")
    assert joined.resources == {"CPU": 2.0}
    assert WatchProcess("driver", 4711) in world.effects


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"python_version": "3.12.1"}, ["Python 3.11.7", "Python 3.12.1"]),
        ({"protocol": 99, "raynb_version": "9.0"}, ["raynb 0.1.0", "protocol 1", "raynb 9.0", "protocol 99"]),
    ],
)
def test_another_python_or_protocol_is_refused_and_both_versions_are_said(
    changes: dict[str, Any], words: list[str]
) -> None:
    world = World()
    error = world.driver_joins(**changes).error
    assert all(word in error for word in words)
    assert not world.machine.drivers
    assert not world.demand("driver", 1, CPU=1), "it is not listened to"


def test_another_patch_version_of_python_may_join() -> None:
    assert World().driver_joins(python_version="3.11.99").error == ""


def test_no_cluster_stays_or_ends_because_of_a_guest() -> None:
    world = World(embedded=True)
    world.start()
    world.driver_joins()
    world.receive("guest", join_message("guest", "Jupyter server"))
    assert world.demand("guest", 1), "it may have things done"
    world.receive("guest", LeaveNode())
    assert not world.machine.stopping
    world.receive("guest-2", join_message("guest", "Jupyter server"))
    effects = world.receive("driver", LeaveNode())
    assert world.machine.stopping
    assert len(sent(effects, FinishJob)) <= 1


def test_where_an_object_lies_is_told_to_whoever_asks(world: World) -> None:
    (answer,) = sent(world.receive("stranger", LocateObject(1, b"o" * 28)), Reply)
    assert answer.message.error is not None and answer.message.error.kind == "KeyError"


def test_a_worker_that_nobody_ordered_is_refused() -> None:
    world = World()
    world.receive("ipc://stray", join_message("worker", "w99"))
    assert "w99" in world.told("ipc://stray", NodeJoined).error


def test_a_repeated_hello_is_answered_again_and_counted_once(world: World) -> None:
    effects = world.receive("driver", join_message("driver", "driver"))
    assert world.told("driver", NodeJoined, effects).error == ""
    assert not [e for e in effects if isinstance(e, WatchProcess)]


def test_nobody_is_listened_to_before_it_has_joined(world: World) -> None:
    assert not sent(world.receive("stranger", LeaseDemand(1, {"CPU": 1}, 1)), LeaseGranted)
    assert not sent(world.receive("stranger", AllocateExtent(1, 100)), Reply)
    world.receive("stranger", KillWorker("ipc://w1", "because"))
    assert not world.ended()


# -- leases


def test_a_worker_hears_of_its_lease_before_the_client(world: World) -> None:
    effects = world.receive("driver", LeaseDemand(1, {"CPU": 1}, 1))
    granted = sent(effects, LeaseGranted)
    assert [send.to for send in granted] == [granted[0].message.worker, "driver"]
    assert granted[0].message == granted[1].message


def test_a_returned_lease_goes_to_who_waits(world: World) -> None:
    world.driver_joins("other")
    grants = world.demand("driver", 2, CPU=1)
    assert not world.demand("other", 1, CPU=1)
    assert world.told("driver", LeaseReclaim).leases == [grants[0].lease]
    effects = world.give_back(grants[0].lease)
    assert world.told("other", LeaseGranted, effects).worker == grants[0].worker


def test_a_client_cannot_return_what_is_not_its_own(world: World) -> None:
    grants = world.demand("driver", 1, CPU=1)
    world.driver_joins("other")
    world.receive("other", LeaseReturned(grants[0].lease))
    assert grants[0].lease in world.machine.leases.by_number


def test_workers_are_ordered_when_all_are_blocked_and_the_cpu_is_free() -> None:
    world = World(cpus=1)
    world.start(workers=1)
    world.driver_joins()
    (grant,) = world.demand("driver", 5, CPU=1)
    assert not world.ordered
    world.receive(grant.worker, WorkerBlocked())
    assert len(world.ordered) == 1
    assert world.machine.leases.available["CPU"] == 10_000
    new = world.worker_joins()
    assert world.told("driver", LeaseGranted).worker == new
    world.receive(grant.worker, WorkerUnblocked())
    assert world.machine.leases.available["CPU"] == -10_000


def test_an_infeasible_demand_is_said_once_with_what_to_do(world: World) -> None:
    world.demand("driver", 1, GPU=1)
    world.demand("driver", 2, GPU=1)
    messages = [send.message.message for send in sent(world.effects, LeaseInfeasible)]
    assert len(messages) == 1
    assert "GPU" in messages[0] and "init(num_gpus=1)" in messages[0]


def test_a_senseless_demand_is_answered_and_harms_nobody(world: World) -> None:
    world.demand("driver", 1, CPU=-1)
    assert "CPU=-1" in world.told("driver", LeaseInfeasible).message


def test_no_more_idle_workers_are_kept_than_the_machine_has_cores() -> None:
    world = World(cpus=64, cores=2)
    world.start(workers=0)
    assert len(world.ordered) == 2
    world.driver_joins()
    world.demand("driver", 100, CPU=1)
    assert len(world.ordered) == 4, "more come when there is work, some at a time"


def test_ticks_may_be_rare_only_when_nothing_waits(world: World) -> None:
    assert world.machine.idle
    world.demand("driver", 3, CPU=1)
    assert not world.machine.idle
    world.demand("driver", 2, CPU=1)
    assert not world.machine.idle, "the GCS does not know yet what is left"
    world.tick(0.2)
    assert world.machine.idle
    world.receive(world.grants[1].worker, LeaveNode())
    assert not world.machine.idle


# -- deaths


def test_a_dead_worker_is_told_to_all_clients_and_the_gcs_with_what_had_begun(world: World) -> None:
    grants = world.demand("driver", 2, CPU=1)
    effects = world.worker_dies(grants[0].worker, lease=grants[0].lease, last_seq=17, log_tail="Segmentation fault")
    told = sent(effects, ProcessDied)
    assert {send.to for send in told} == {"driver", grants[1].worker, GCS}
    died = told[0].message
    assert (died.address, died.kind, died.intended) == (grants[0].worker, "worker", False)
    assert (died.lease, died.last_seq) == (grants[0].lease, 17)
    assert died.reason == "killed by SIGKILL. The end of its log:\nSegmentation fault"
    assert ForgetPeer(grants[0].worker) in effects


def test_what_a_dead_worker_has_not_sent_goes_to_whom_it_wrote_for_before_its_death_is_told(world: World) -> None:
    (grant,) = world.demand("driver", 1, CPU=1)
    words = LastWords("", 100, "cell", b"t" * 24, (b"out", b""), (3, 0))
    effects = world.worker_dies(grant.worker, driver="driver", last_words=words)
    for_driver = [send.message for send in effects if isinstance(send, Send) and send.to == "driver"]
    assert [type(message) for message in for_driver[:2]] == [LastWords, ProcessDied]
    (told,) = sent(effects, LastWords)
    assert (told.message.worker, told.message.texts) == (grant.worker, (b"out", b""))


def test_what_a_page_says_of_an_older_lease_does_not_count(world: World) -> None:
    (old,) = world.demand("driver", 1, CPU=1)
    world.demand("driver", 0, CPU=1)
    world.give_back(old.lease)
    (new,) = world.demand("driver", 1, CPU=1)
    assert new.worker == old.worker
    effects = world.worker_dies(new.worker, lease=old.lease, last_seq=17)
    died = world.told("driver", ProcessDied, effects)
    assert (died.lease, died.last_seq) == (new.lease, 0)


def test_a_dead_workers_cpu_is_free_again_and_it_is_replaced(world: World) -> None:
    grants = world.demand("driver", 2, CPU=1)
    world.worker_dies(grants[0].worker)
    assert len(world.ordered) == 1
    world.worker_joins()
    assert len(world.machine.leases.by_number) == 2


def test_when_a_submitter_dies_the_workers_that_ran_its_tasks_are_ended(world: World) -> None:
    grants = world.demand("driver", 1, CPU=1)
    parent = grants[0].worker
    (child,) = world.demand(parent, 1, CPU=1)
    effects = world.worker_dies(parent)
    assert world.ended() == [child.worker.removeprefix("ipc://")]
    assert not sent(effects, ProcessDied), "what the child reads is kept for its parent, until that is known to be dead"
    effects = world.worker_dies(child.worker)
    told = [(e.message.address, e.message.intended) for e in sent(effects, ProcessDied) if e.to == "driver"]
    assert told == [(child.worker, True), (parent, False)]


def test_a_dead_drivers_workers_are_ended_and_its_job_is_finished() -> None:
    world = World(embedded=False)
    world.start()
    world.driver_joins("stays")
    world.driver_joins(job=b"jobX")
    grants = world.demand("driver", 2, CPU=1)
    effects = world.handle(ClientExited("driver", "its process ended"))
    assert sorted(world.ended()) == sorted(grant.worker.removeprefix("ipc://") for grant in grants)
    assert world.told(GCS, FinishJob, effects).job == b"jobX"
    for grant in grants:
        effects = world.worker_dies(grant.worker)
    assert world.told("stays", ProcessDied, effects).kind == "driver"


def test_a_leaving_driver_leaves_nothing() -> None:
    world = World(embedded=False)
    world.start()
    world.driver_joins()
    world.demand("driver", 5, CPU=1)
    world.receive("driver", LeaveNode())
    last = [world.worker_dies(f"ipc://{token}") for token in world.ended()][-1]
    assert world.told(GCS, ProcessDied, last).intended
    assert world.machine.leases.available == world.machine.leases.total
    assert not world.machine.leases.demands


def test_a_forced_cancel_ends_the_worker_and_is_intended(world: World) -> None:
    (grant,) = world.demand("driver", 1, CPU=1)
    world.receive("driver", KillWorker(grant.worker, "ray.cancel(force=True)"))
    assert world.ended() == [grant.worker.removeprefix("ipc://")]
    effects = world.worker_dies(grant.worker)
    died = world.told("driver", ProcessDied, effects)
    assert died.intended
    assert died.reason == "ray.cancel(force=True): killed by SIGKILL"


def test_a_driver_can_not_be_killed(world: World) -> None:
    world.driver_joins("other")
    world.receive("driver", KillWorker("other", "because"))
    assert not world.ended()
    assert "other" in world.machine.drivers


# -- the GCS


def test_the_node_registers_until_it_is_answered() -> None:
    world = World()
    world.handle(GcsStarted())
    assert len(sent(world.tick(0.5), RegisterNode)) == 0
    assert len(sent(world.tick(0.6), RegisterNode)) == 1
    world.receive(GCS, NodeRegistered(1))
    assert len(sent(world.tick(5), RegisterNode)) == 0


def test_a_restarted_gcs_is_told_of_all_that_lives_here(world: World) -> None:
    message = actor_message(CPU=1)
    (send,) = sent(world.receive(GCS, message), StartActor)
    world.tick()
    world.effects.clear()
    world.handle(GcsStarted())
    registration = world.told(GCS, RegisterNode)
    assert registration.actors == [(message.actor_id, 0, send.to)]
    assert registration.processes is not None
    assert set(registration.processes) == {"driver", *world.living.values()}
    effects = world.receive(GCS, NodeRegistered(2))
    states = [listing.state for listing in world.told(GCS, WorkerTable, effects).workers]
    assert sorted(states) == ["actor", "idle", "starting"]


def test_an_unasked_for_answer_means_register_again(world: World) -> None:
    (registration,) = sent(world.receive(GCS, NodeRegistered(3)), RegisterNode)
    assert registration.to == GCS
    assert not sent(world.receive(GCS, NodeRegistered(3)), RegisterNode)


def test_status_is_sent_when_it_changed_and_as_a_sign_of_life(world: World) -> None:
    world.tick(10)
    assert not sent(world.tick(0.6), NodeStatus), "nothing changed"
    world.demand("driver", 1, CPU=1)
    (send,) = sent(world.tick(0.6), NodeStatus)
    assert send.message.available["CPU"] == 1.0
    world.handle(Measured(42.0, 1, 2))
    (send,) = sent(world.tick(0.6), NodeStatus)
    assert send.message.cpu_percent == 42.0
    assert sent(world.tick(2.6), NodeStatus)


def test_waiting_demand_is_reported(world: World) -> None:
    world.demand("driver", 5, CPU=1)
    world.tick(5)
    assert world.told(GCS, NodeStatus).demand == {"CPU": 3.0}


# -- the store


def test_the_store_serves_joined_clients(world: World) -> None:
    world.receive("driver", StoreUsage(9))
    answer = json.loads(world.told("driver", Reply).data)
    assert answer["capacity_bytes"] == 1 << 30
    assert (answer["used_bytes"], answer["objects"], answer["holders"]) == (0, 0, [])


# -- the end


def test_an_embedded_cluster_ends_with_its_last_driver(world: World) -> None:
    world.driver_joins("second")
    world.receive("driver", LeaveNode())
    assert not world.stopped
    world.receive("second", LeaveNode())
    assert "last driver" in world.stopped


def test_a_driver_that_died_has_its_grace_and_a_new_one_ends_the_wait() -> None:
    world = World()
    world.start()
    world.driver_joins(grace_s=60.0)
    world.handle(ClientExited("driver", "its process ended"))
    world.tick(59)
    assert not world.stopped
    world.driver_joins("restarted", grace_s=60.0)
    world.tick(100)
    assert not world.stopped
    world.handle(ClientExited("restarted", "its process ended"))
    world.tick(61)
    assert "grace" in world.stopped


def test_a_driver_without_grace_takes_the_cluster_with_it(world: World) -> None:
    world.handle(ClientExited("driver", "its process ended"))
    assert world.stopped


def test_an_embedded_cluster_whose_starter_dies_before_joining_ends() -> None:
    world = World()
    world.handle(ClientExited("", "its process ended"))
    assert world.stopped


def test_a_daemon_cluster_outlives_all_drivers() -> None:
    world = World(embedded=False)
    world.driver_joins()
    world.receive("driver", LeaveNode())
    world.handle(ClientExited("", "its process ended"))
    world.tick(1000)
    assert not world.stopped


@pytest.mark.parametrize("event", [StopRequested("it got SIGTERM"), None])
def test_asked_to_stop_it_tells_the_drivers_and_does_nothing_more(event: StopRequested | None) -> None:
    world = World(embedded=False)
    world.driver_joins()
    effects = world.handle(event) if event else world.receive("anybody", StopNode("raynb stop"))
    died = world.told("driver", ProcessDied, effects)
    assert (died.kind, died.address, died.intended) == ("node", ME, True)
    assert world.stopped
    assert world.tick() == []


def test_a_cluster_waits_for_a_driver_that_left_to_come_back() -> None:
    world = World(embedded=True)
    world.start()
    world.driver_joins(grace_s=60.0)
    world.receive("driver", LeaveNode(returns=True))
    world.tick(59.0)
    assert not world.stopped
    world.driver_joins("again", grace_s=60.0)
    world.tick(120.0)
    assert not world.stopped
    world.receive("again", LeaveNode())
    assert "left" in world.stopped
