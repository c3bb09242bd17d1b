"""The GCS as a process: killed, stopped, started again, on both of its stores."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zmq

from raynb.runtime.adapters.request import Requester
from raynb.runtime.messages.errors import RpcError
from raynb.runtime.messages.events import NameDef, ObjectRow, ObjectRows, ReportObjects, SendNames, TaskRows, WorkerDef
from raynb.runtime.messages.gcs import (
    ActorState,
    KvDelete,
    KvGet,
    KvPut,
    NamedActor,
    Query,
    Reply,
    Shutdown,
    WatchActor,
)
from raynb.runtime.messages.node import AreAlive, KillWorker, ProcessDied, StartActor
from raynb.runtime.messages.values import ValueKind
from tests.runtime.daemons.gcs_stand_ins import JOB, NODE, PATIENCE_S, Cluster, actor_id, running
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until


@pytest.fixture(params=["redis", "sqlite"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with running(request.param) as cluster:
        yield cluster


@pytest.fixture
def sqlite_cluster() -> Iterator[Cluster]:
    with running("sqlite") as cluster:
        yield cluster


def test_no_acknowledged_key_is_lost_when_the_gcs_is_killed_again_and_again(cluster: Cluster) -> None:
    client = cluster.peer()
    sent: dict[int, KvPut] = {}
    acknowledged: set[int] = set()

    def collect() -> None:
        client.inbox += [message for _, message in client.transport.receive(0.0)]
        acknowledged.update(m.request for m in client.inbox if isinstance(m, Reply) and m.error is None)
        client.inbox.clear()

    for _ in range(3):
        assert client.ask(KvPut(client.number(), b"alive", b"1")).error is None
        before = len(acknowledged)
        while len(acknowledged) < before + 50:
            for _ in range(40):
                number = client.number()
                sent[number] = KvPut(number, b"key %d" % number, b"value %d" % number)
                client.send(sent[number])
            collect()
        cluster.restart()  # with many under way
        collect()
    for number in acknowledged & sent.keys():
        reply = client.ask(KvGet(client.number(), b"key %d" % number))
        assert reply.error is None and reply.data == b"value %d" % number
    assert len(acknowledged) >= 150


def test_a_put_that_was_under_way_when_the_gcs_died_is_answered_as_if_nothing_had_happened(cluster: Cluster) -> None:
    client = cluster.peer()
    message = KvPut(client.number(), b"key", b"value", overwrite=False)
    assert client.ask(message).data == b"1"
    cluster.restart()
    assert client.ask(message).data == b"1"  # the same request: it was new
    assert client.ask(KvPut(client.number(), b"key", b"other", overwrite=False)).data == b"0"
    assert client.ask(KvGet(client.number(), b"key")).data == b"value"
    assert client.ask(KvDelete(client.number(), b"key")).data == b"1"
    cluster.restart()
    error = client.ask(KvGet(client.number(), b"key")).error
    assert error is not None and error.kind == "KeyError"


def test_while_redis_is_dead_requests_wait_and_none_is_lost() -> None:
    with running("redis") as cluster:
        client = cluster.peer()
        assert client.ask(KvPut(client.number(), b"before", b"1")).error is None
        cluster.kill_redis()
        message = KvPut(client.number(), b"during", b"2")
        client.send(message)
        assert client.query("jobs")["total"] == 0  # the GCS itself answers
        cluster.start_redis()
        began = time.monotonic()
        assert client.wait(Reply, lambda reply: reply.request == message.request, message).error is None
        assert time.monotonic() - began < 5
        cluster.kill_redis()
        cluster.end()
        cluster.start()  # before its store is there
        cluster.start_redis()
        assert client.ask(KvGet(client.number(), b"before")).data == b"1"
        assert client.ask(KvGet(client.number(), b"during")).data == b"2"


def test_actors_live_on_when_the_gcs_is_killed(cluster: Cluster) -> None:
    manager, driver, worker = cluster.peer("manager"), cluster.peer("driver"), cluster.peer("worker")
    assert manager.register_node(processes=[]).epoch == 1
    driver.register_job()
    created = driver.create(name="counter", max_restarts=1)
    assert driver.wait(Reply).error is None
    worker.started(manager.wait(StartActor))
    watch = WatchActor(created.creation.actor_id)
    driver.send(watch)
    assert driver.wait(ActorState, lambda news: news.state == "ALIVE").worker == worker.address

    began = time.monotonic()
    cluster.restart()
    living = [(created.creation.actor_id, 0, worker.address)]
    assert manager.register_node(actors=living, processes=[driver.address, worker.address]).epoch == 2
    driver.inbox.clear()
    driver.send(watch)
    news = driver.wait(ActorState, again=watch)
    if news.state != "ALIVE":  # that it lives was not durable yet: then its worker is asked again
        worker.started(manager.wait(StartActor))
        news = driver.wait(ActorState, lambda news: news.state == "ALIVE", watch)
    assert (news.state, news.worker, news.incarnation) == ("ALIVE", worker.address, 0)
    assert time.monotonic() - began < 10
    again = driver.ask(driver.create(2, name="counter"))
    assert again.error is not None and again.error.kind == "ActorAlreadyExistsError"
    found = driver.ask(NamedActor(driver.number(), "counter", "space"))
    assert msgspec.msgpack.decode(found.data)["actor_id"] == created.creation.actor_id

    manager.send(ProcessDied(worker.address, "worker", 4321, "killed by SIGKILL"))
    driver.wait(ActorState, lambda news: news.state == "RESTARTING")
    assert manager.wait(StartActor).incarnation == 1


def test_what_died_while_the_gcs_was_away_is_noticed(cluster: Cluster) -> None:
    manager, driver, other = cluster.peer("manager"), cluster.peer("driver"), cluster.peer("other")
    worker = cluster.peer("worker")
    manager.register_node(processes=[])
    driver.register_job()
    other.register_job(b"job2")
    ids = []
    kinds: list[dict[str, Any]] = [
        {"max_restarts": -1},
        {},
        {"name": "detached", "detached": True, "max_restarts": -1},
    ]
    for number, parts in enumerate(kinds, 1):
        ids.append(driver.create(number, **parts).creation.actor_id)
        assert driver.wait(Reply).error is None
        start = manager.wait(StartActor)
        cluster.peer(f"worker{number}").started(start)
    lost = other.create(7, job=b"job2").creation.actor_id
    assert other.wait(Reply).error is None
    worker.started(manager.wait(StartActor))
    # Watchers learn what is durable: until then a restarted GCS would rightly have them started again.
    for each in (*ids, lost):
        other.send(WatchActor(each))
        other.wait(
            ActorState,
            lambda news, wanted=each: news.actor_id == wanted and news.state == "ALIVE",
            WatchActor(each),
        )

    cluster.restart()
    # Only the driver and no worker is left.
    assert manager.register_node(processes=[driver.address]).epoch == 2
    asked: set[str] = set()
    while len(asked) < 5:  # four actors' workers, and a driver
        for address in manager.wait(AreAlive).addresses:
            asked.add(address)
            manager.send(ProcessDied(address, "worker", 0, "it is not there any more"))
    restarted = {manager.wait(StartActor).actor_id for _ in range(2)}
    assert restarted == {ids[0], ids[2]}
    driver.send(WatchActor(ids[1]))
    dead = driver.wait(ActorState, lambda news: news.actor_id == ids[1])
    assert dead.state == "DEAD" and dead.failure is not None and "not there any more" in dead.failure.message
    driver.send(WatchActor(lost))
    dead = driver.wait(ActorState, lambda news: news.actor_id == lost)
    assert dead.state == "DEAD" and dead.failure is not None
    jobs = {row["job_id"]: row["status"] for row in driver.query("jobs")["rows"]}
    assert jobs == {JOB.hex(): "RUNNING", b"job2".hex(): "FAILED"}


def test_a_constructor_that_returned_while_the_gcs_was_away_is_asked_again(sqlite_cluster: Cluster) -> None:
    cluster = sqlite_cluster
    manager, driver, worker = cluster.peer("manager"), cluster.peer("driver"), cluster.peer("worker")
    manager.register_node(processes=[])
    driver.register_job()
    created = driver.create()
    assert driver.wait(Reply).error is None
    start = manager.wait(StartActor)
    cluster.restart()  # the worker's answer is lost with it
    living = [(created.creation.actor_id, 0, worker.address)]
    manager.register_node(actors=living, processes=[driver.address, worker.address])
    assert manager.wait(StartActor) == start
    worker.started(start)
    watch = WatchActor(start.actor_id)
    driver.send(watch)
    assert driver.wait(ActorState, lambda news: news.state == "ALIVE", watch).incarnation == 0


def test_a_stray_process_of_an_ended_actor_is_ended(sqlite_cluster: Cluster) -> None:
    manager = sqlite_cluster.peer("manager")
    manager.register_node(processes=[], actors=[(actor_id(9), 0, "ipc://stray")])
    kill = manager.wait(KillWorker)
    assert (kill.worker, kill.actor_id) == ("ipc://stray", actor_id(9))


def test_a_damaged_record_is_said_aloud_and_the_others_are_kept(sqlite_cluster: Cluster) -> None:
    cluster = sqlite_cluster
    client = cluster.peer()
    for key in (b"one", b"two"):
        assert client.ask(KvPut(client.number(), key, b"value of " + key)).error is None
    cluster.end()
    with sqlite3.connect(cluster.settings.sqlite_path) as database:
        database.execute("UPDATE state SET record = CAST(record || x'00' AS BLOB) WHERE key = ?", (b"one",))
    database.close()
    cluster.start()
    assert client.ask(KvGet(client.number(), b"two")).data == b"value of two"
    error = client.ask(KvGet(client.number(), b"one")).error
    assert error is not None and error.kind == "KeyError"
    cluster.wait_for_log("lost from the state store")


def test_an_orderly_end_writes_and_answers_what_was_asked(cluster: Cluster) -> None:
    client = cluster.peer()
    assert client.ask(KvPut(client.number(), b"x", b"1")).error is None
    messages = [KvPut(client.number(), b"key %d" % n, b"value") for n in range(100)]
    for message in messages:
        client.send(message)
    client.send(Shutdown())
    for message in messages:
        assert client.wait(Reply, lambda reply, n=message.request: reply.request == n).error is None  # type: ignore[misc]
    assert cluster.process is not None and cluster.process.wait(10) == 0
    cluster.process = None
    cluster.start()
    client.ask(KvGet(client.number(), b"key 99"))
    assert cluster.end(signal.SIGTERM) == 0


def test_an_older_gcs_stops_when_a_newer_one_writes(sqlite_cluster: Cluster) -> None:
    cluster = sqlite_cluster
    client = cluster.peer()
    assert client.ask(KvPut(client.number(), b"x", b"1")).error is None
    old, cluster.process = cluster.process, None
    assert old is not None
    try:
        stop_process(old.pid)
        cluster.start()
        cluster.wait_for_log("epoch 2")
        newcomer = cluster.peer()  # who connects now comes to the new one
        assert newcomer.ask(KvPut(newcomer.number(), b"x", b"new")).error is None
        old.send_signal(signal.SIGCONT)
        # This one is connected to the old one still; it ends, and the client finds the new one.
        assert client.ask(KvPut(client.number(), b"y", b"1")).error is None
        assert old.wait(10) == 3
    finally:
        old.kill()
        old.wait(10)
    for key, value in ((b"x", b"new"), (b"y", b"1")):
        assert newcomer.ask(KvGet(newcomer.number(), key)).data == value


def test_bytes_that_are_no_message_cost_their_sender_its_hearing_and_nobody_else(sqlite_cluster: Cluster) -> None:
    client = sqlite_cluster.peer()
    assert client.ask(KvPut(client.number(), b"x", b"1")).error is None
    with zmq.Context() as context, context.socket(zmq.DEALER) as vandal:
        vandal.setsockopt(zmq.ROUTING_ID, b"ipc://vandal")
        vandal.setsockopt(zmq.LINGER, 1000)
        vandal.connect(sqlite_cluster.address)
        for junk in (b"", b"\xc1", b"\x93\x5a\x01\x02", bytes(10_000)):
            vandal.send(junk)
        vandal.send_multipart([b"many", b"frames", b"here"])
        assert client.ask(KvGet(client.number(), b"x")).data == b"1"
    sqlite_cluster.wait_for_log("is cut off")


def rows_of(count: int, names: list[NameDef], workers: list[WorkerDef], total: int) -> TaskRows:
    ids = b"".join(n.to_bytes(8, "big") + b"origin......" + JOB for n in range(count))
    zeros = [0.0] * count
    return TaskRows(
        ids, bytes([4]) * count, bytes(count), [3] * count, [5] * count, [1e9] * count, zeros, zeros, [1e9 + 1] * count,
        [1e9 + 2] * count, [10] * count, b"", b"", [], [], [(3, total, total, 0, 0)], 0, names, workers,
    )  # fmt: skip


def test_a_restarted_hub_asks_for_names_and_counts_exactly_again(sqlite_cluster: Cluster) -> None:
    cluster = sqlite_cluster
    manager, driver = cluster.peer("manager"), cluster.peer("driver")
    manager.register_node(processes=[driver.address])
    names = [NameDef(3, "square", "square", 0, JOB, "script.py:4", "", {"CPU": 1.0})]
    workers = [WorkerDef(5, b"w" * 28, NODE, 77)]
    driver.wait(SendNames)  # asked of every process that a node lists when it comes
    driver.send(rows_of(10, names, workers, 10))
    summary = driver.query("task_summary")["rows"]
    assert summary == [{"func_or_class_name": "square", "type": "NORMAL_TASK", "state_counts": {"FINISHED": 10}}]
    cluster.restart()
    manager.register_node(processes=[driver.address])
    driver.wait(SendNames)
    driver.send(rows_of(12, [], [], 12))
    driver.wait(SendNames)
    driver.send(rows_of(0, names, workers, 12))
    assert driver.query("task_summary")["rows"][0]["state_counts"] == {"FINISHED": 12}
    row = driver.query("tasks", limit=1)["rows"][0]
    assert (row["func_or_class_name"], row["state"]) == ("square", "FINISHED")


def test_objects_come_from_their_owners_and_a_silent_one_delays_nobody_for_long(sqlite_cluster: Cluster) -> None:
    manager, driver = sqlite_cluster.peer("manager"), sqlite_cluster.peer("driver")
    silent, asker = sqlite_cluster.peer("silent"), sqlite_cluster.peer()
    manager.register_node(processes=[driver.address, silent.address])
    driver.register_job()
    query = Query(asker.number(), "objects")
    asker.send(query)
    report = driver.wait(ReportObjects)
    oid = bytes(20) + JOB + (1).to_bytes(4, "little")
    driver.send(
        ObjectRows(report.request, [ObjectRow(oid, 800, "STORED", 1, 0, 0, "x.py:1", ValueKind("ndarray"))], 1, 99)
    )
    reply = asker.wait(Reply, timeout_s=4)
    page = msgspec.msgpack.decode(reply.data)
    assert page["unanswered"] == 1 and page["total"] == 1
    assert page["rows"][0] == {
        "object_id": oid.hex(),
        "object_size": 800,
        "task_status": "FINISHED",
        "attempt_number": 0,
        "reference_type": "LOCAL_REFERENCE",
        "call_site": "x.py:1",
        "type": "DRIVER",
        "pid": 99,
        "ip": "127.0.0.1",
    }


def test_guests_leave_nothing_behind_in_the_gcs(sqlite_cluster: Cluster) -> None:
    def open_files() -> int:
        assert sqlite_cluster.process is not None
        return len(os.listdir(f"/proc/{sqlite_cluster.process.pid}/fd"))

    def ask() -> None:
        with Requester(sqlite_cluster.path) as guest:
            assert guest.query(sqlite_cluster.address, "nodes")["total"] == 0

    ask()
    before = open_files()
    for _ in range(20):
        ask()
    wait_until(lambda: open_files() <= before, PATIENCE_S, "sockets of guests")


def test_a_guest_that_was_silent_for_long_comes_back_under_a_new_address(
    sqlite_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Requester(sqlite_cluster.path) as guest:
        before = repr(guest)
        guest.query(sqlite_cluster.address, "nodes")
        assert repr(guest) == before
        monkeypatch.setattr("raynb.runtime.adapters.request.IDLE_S_MAX", 0.0)
        guest.query(sqlite_cluster.address, "nodes")
        assert repr(guest) != before


def test_a_guest_is_told_what_is_wrong_and_never_waits_for_ever(sqlite_cluster: Cluster) -> None:
    with Requester(sqlite_cluster.path) as guest:
        with pytest.raises(ValueError, match="no field 'colour'"):
            guest.query(sqlite_cluster.address, "tasks", [("colour", "=", "red")])
        with pytest.raises(KeyError):
            guest.ask(sqlite_cluster.address, KvGet(guest.number(), b"nothing"))
        began = time.monotonic()
        with pytest.raises(RpcError, match="is the cluster still running"):
            guest.query(f"ipc://{sqlite_cluster.path}/p/nobody", "tasks", timeout_s=0.5)
        assert time.monotonic() - began < 3


def test_the_end_of_a_node_manager_on_this_host_is_told_by_the_kernel(sqlite_cluster: Cluster) -> None:
    manager, client = sqlite_cluster.peer("manager"), sqlite_cluster.peer()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        manager.register_node(processes=[], pid=process.pid, hostname=socket.gethostname())
        assert [row["state"] for row in client.query("nodes")["rows"]] == ["ALIVE"]
        process.kill()
    wait_until(
        lambda: [row["state"] for row in client.query("nodes")["rows"]] == ["DEAD"], PATIENCE_S, "the node's death"
    )
