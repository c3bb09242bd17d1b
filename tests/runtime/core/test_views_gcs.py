"""What is answered about nodes, actors, workers and jobs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_queries import OBJECTS_PATIENCE_S
from raynb.runtime.core.views import (
    ACTOR_FIELDS,
    ACTOR_MORE,
    JOB_FIELDS,
    JOB_MORE,
    NODE_FIELDS,
    NODE_MORE,
    WORKER_FIELDS,
    WORKER_MORE,
)
from raynb.runtime.messages import gcs as g
from raynb.runtime.messages import node as n
from raynb.runtime.messages.events import ObjectRow, ObjectRows, ReportObjects
from raynb.runtime.messages.values import Failed
from tests.runtime.core.gcs_harness import Scenario, actor_id, job_id, node_id


class Cluster(Scenario):
    def query(self, table: str, **parts: Any) -> dict[str, Any]:
        (effect,) = self.harness.receive("asker", g.Query(self.number({}), table, **parts))
        assert isinstance(effect, Send) and isinstance(effect.message, g.Reply)
        if effect.message.error is not None:
            raise ValueError(effect.message.error.message)
        page: dict[str, Any] = msgspec.msgpack.decode(effect.message.data)
        return page


def test_a_constructor_that_failed_is_told_apart(cluster: Cluster) -> None:
    failure = Failed("ActorDiedError", "ray::Counter.__init__ failed", constructor=True)
    cluster.do("create d a9")
    cluster.harness.receive("w9", g.ActorStarted(actor_id("a9"), 0, "w9", 7, node_id("n1"), failure))
    (row,) = cluster.query("actors", filters=[("actor_id", "=", actor_id("a9").hex())], detail=True)["rows"]
    assert row["death_cause"]["creation_task_failure_context"]["error_message"] == failure.message


def answers(effects: list[Any]) -> list[dict[str, Any]]:
    replies = [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, g.Reply)]
    return [msgspec.msgpack.decode(reply.data) for reply in replies]


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for line in (
        "node n1 cpus=4 processes=d",
        "job d j1",
        "create d a1 name=counter max_restarts=3",
        "worker n1 w1 actor=a1 state=actor",
        "started w1 a1",
        "create d a2 cpus=3",
        "started w2 a2",
        "worker n1 w2 actor=a2 state=actor",
        "died n1 w2",
    ):
        cluster.do(line)
    status = n.NodeStatus(node_id("n1"), {"CPU": 3.0}, 500, 1000, 2, 3, {"CPU": 1.0}, 50.0, 10, 20)
    cluster.harness.receive("n1", status)
    return cluster


def test_rows_have_rays_fields_and_then_raynbs_own(cluster: Cluster) -> None:
    for table, fields in (
        ("nodes", NODE_FIELDS + NODE_MORE),
        ("actors", ACTOR_FIELDS + ACTOR_MORE),
        ("workers", WORKER_FIELDS + WORKER_MORE),
        ("jobs", JOB_FIELDS + JOB_MORE),
    ):
        rows = cluster.query(table, detail=True)["rows"]
        assert rows and all(tuple(row) == fields for row in rows)


def test_a_dead_actor_tells_why_it_died(cluster: Cluster) -> None:
    page = cluster.query("actors", id=actor_id("a2").hex(), detail=True)
    (row,) = page["rows"]
    assert (row["state"], row["num_restarts"], row["pid"]) == ("DEAD", 0, 7)
    assert "killed by SIGKILL" in row["death_cause"]["actor_died_error_context"]["error_message"]


@pytest.mark.parametrize(
    ("table", "filters", "count"),
    [
        ("actors", [("state", "=", "ALIVE")], 1),
        ("actors", [("class_name", "=", "Counter")], 2),
        ("actors", [("is_detached", "=", "false")], 2),
        ("actors", [("is_detached", "=", "True")], 0),
        ("workers", [("is_alive", "=", "True")], 2),
        ("workers", [("worker_type", "=", "DRIVER")], 1),
        ("workers", [("exit_type", "=", "SYSTEM_ERROR")], 1),
        ("jobs", [("status", "=", "RUNNING")], 1),
        ("named_actors", [("namespace", "=", "space")], 1),
        ("named_actors", [("namespace", "!=", "space")], 0),
        ("nodes", [("state", "=", "ALIVE")], 1),
    ],
)
def test_each_table_can_be_filtered(
    cluster: Cluster, table: str, filters: list[tuple[str, str, str]], count: int
) -> None:
    assert cluster.query(table, filters=filters)["total"] == count


def test_resources_and_store_are_summed_over_living_nodes(cluster: Cluster) -> None:
    assert cluster.query("resources")["rows"] == [{"total": {"CPU": 4.0}, "available": {"CPU": 3.0}}]
    (store,) = cluster.query("store")["rows"]
    assert (store["used_bytes"], store["capacity_bytes"], store["objects"]) == (500, 1000, 2)
    cluster.do("ended n1")
    assert cluster.query("resources")["rows"] == [{"total": {}, "available": {}}]
    assert cluster.query("store")["rows"] == []


def test_a_table_or_field_that_does_not_exist_is_refused_even_when_there_are_no_rows() -> None:
    empty = Cluster()
    for table in ("nodes", "actors", "workers", "jobs", "tasks", "objects", "named_actors"):
        with pytest.raises(ValueError, match="no field 'colour'"):
            empty.query(table, filters=[("colour", "=", "red")])
        assert empty.query(table)["rows"] == []
    with pytest.raises(ValueError, match="no such table"):
        empty.query("secrets")


def test_a_filter_on_a_field_of_raynbs_own_needs_no_rows() -> None:
    assert Cluster().query("actors", filters=[("max_restarts", "=", "3")])["rows"] == []


def test_objects_are_gathered_from_all_clients_largest_first(cluster: Cluster) -> None:
    asked = cluster.harness.receive("asker", g.Query(9000, "objects", limit=2))
    reports = {e.to: e.message for e in asked if isinstance(e, Send)}
    assert reports.keys() == {"d", "w1"}
    report = reports["d"]
    assert isinstance(report, ReportObjects) and report.limit == 2
    small, large = (ObjectRow(bytes([i]) * 24 + bytes(4), size, "READY", 1, 0, 0) for i, size in ((1, 10), (2, 99)))
    assert cluster.harness.receive("d", ObjectRows(report.request, [small], 5, 11)) == []
    assert cluster.harness.receive("d", ObjectRows(report.request, [small], 5, 11)) == []  # once is enough
    (effect,) = cluster.harness.receive("w1", ObjectRows(report.request, [large], 1, 12))
    page = msgspec.msgpack.decode(effect.message.data)
    assert [(row["object_size"], row["type"], row["pid"]) for row in page["rows"]] == [
        (99, "WORKER", 12),
        (10, "DRIVER", 11),
    ]
    assert (page["total"], page["unanswered"]) == (6, 0)


@pytest.mark.parametrize(("said", "patience_s"), [(0.0, OBJECTS_PATIENCE_S), (24.0, 24.0)])
def test_clients_have_the_time_that_the_query_gives_them(cluster: Cluster, said: float, patience_s: float) -> None:
    cluster.harness.receive("asker", g.Query(9000, "references", patience_s=said))
    assert not answers(cluster.harness.tick(patience_s - 0.1))
    (page,) = answers(cluster.harness.tick(0.1))
    assert page["unanswered"] == 2


def test_a_client_that_dies_is_not_waited_for(cluster: Cluster) -> None:
    asked = cluster.harness.receive("asker", g.Query(9000, "objects"))
    assert len(asked) == 2
    cluster.do("died n1 w1")
    effects = cluster.harness.receive("n1", n.ProcessDied("d", "driver", 1, "ended", intended=True))
    replies = [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, g.Reply)]
    assert [reply.request for reply in replies] == [9000]
    assert cluster.query("jobs")["rows"][0]["job_id"] == job_id("j1").hex()
