"""The websocket of views, from a browser's side: a real Jupyter server, a real cluster, a driver that may be gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_ARGS_AVAIL, RUNNING
from tests.server_extension.conftest import Driven
from tests.server_extension.jupyter import Screen

GRAPH, TASKS, SUMMARY, OBJECTS, CELLS, TIMELINE = 1, 2, 3, 4, 5, 6
IN_CELL = 'from raynb.runtime.api.session import enter_cell, session; enter_cell(session().client, "1:3:abc")'
RUN = "answer = ray.get(total.remote(*[square.remote(i) for i in range(10)]))"


def nodes_of(window: Screen) -> dict[str, screen.GraphNode]:
    return {node.label: node for node in window.states[GRAPH].nodes}


def counted(window: Screen, label: str, state: int) -> int:
    node = nodes_of(window).get(label)
    return node.counts[state] if node else 0


def gcs_pid(cluster: Driven) -> int:
    return int(cluster.run("from raynb.runtime.api.session import session; answer = session().info.pids['gcs']"))


def test_a_run_arrives_as_a_welcome_a_snapshot_and_deltas(cluster: Driven) -> None:
    window = cluster.screen()
    assert window.subscribe(screen.GraphView(), GRAPH).nodes == []
    welcome = window.told[0]
    assert isinstance(welcome, screen.Welcome)
    assert (welcome.protocol, welcome.cluster) == (screen.SCREEN_PROTOCOL, cluster.id)
    assert cluster.run(RUN) == 285
    window.until(lambda: counted(window, "total", FINISHED) == 1 and counted(window, "square", FINISHED) == 10)
    (edge,) = window.states[GRAPH].edges
    assert (edge.source, edge.target, edge.kind, edge.count) == ("NORMAL_TASK:square", "NORMAL_TASK:total", "data", 10)
    assert len(window.told_of(screen.Snapshot)) == 1 and window.told_of(screen.Delta)


def test_single_tasks_say_why_they_wait_and_go_on_when_they_do_not(cluster: Driven, gate: Path) -> None:
    window = cluster.screen()
    cluster.run(f"held = hold.remote({str(gate)!r}); after = total.remote(held)")
    window.subscribe(screen.GraphView(by="task"), GRAPH)
    window.until(lambda: counted(window, "wait_for", RUNNING) and counted(window, "total", PENDING_ARGS_AVAIL))
    assert nodes_of(window)["total"].why == "It waits for the result of wait_for, which is RUNNING."
    gate.touch()
    window.until(lambda: counted(window, "wait_for", FINISHED) and counted(window, "total", FAILED))
    assert "TypeError" in nodes_of(window)["total"].error  # sum() of None


def test_a_page_of_a_table_follows_the_run(cluster: Driven) -> None:
    window = cluster.screen()
    window.subscribe(screen.TableView("tasks", filters=(("name", "=", "square"),), limit=5), TASKS)
    cluster.run(RUN)
    window.until(lambda: window.states[TASKS].total == 10)
    window.until(lambda: {row["state"] for row in window.states[TASKS].rows} == {"FINISHED"})
    assert len(window.states[TASKS].rows) == 5
    for table in ("actors", "nodes", "workers", "jobs", "objects"):
        window.subscribe(screen.TableView(table), 9)  # type: ignore[arg-type]
    cluster.run("counter = Counter.remote(); ray.get(counter.add.remote())")
    assert [row["class_name"] for row in window.subscribe(screen.TableView("actors"), 9).rows] == ["Counter"]
    cluster.run("import numpy; kept = ray.put(numpy.zeros(1_000_000))")
    window.subscribe(screen.TableView("objects"), OBJECTS)
    window.until(lambda: window.states[OBJECTS].total >= 1)
    assert window.states[OBJECTS].rows[0]["object_size"] > 8_000_000


def test_what_can_not_be_served_is_refused_and_costs_nothing_else(cluster: Driven) -> None:
    window = cluster.screen()
    window.subscribe(screen.SummaryView(), SUMMARY)
    window.send(screen.Subscribe(7, screen.TableView("tasks", sort="colour")))
    window.send('{"type":"subscribe","id":8,"view":{"view":"secrets"}}')
    window.send("no json at all")
    window.until(lambda: len(window.told_of(screen.Refused)) == 3)
    assert [refused.id for refused in window.told_of(screen.Refused)] == [7, 8, 0]
    cluster.run(RUN)
    window.until(lambda: window.states[SUMMARY].tasks_finished == 11)


def test_two_windows_are_told_the_same_and_one_that_closes_takes_nothing_along(cluster: Driven) -> None:
    first, second = cluster.screen(), cluster.screen()
    first.subscribe(screen.GraphView(), GRAPH)
    second.subscribe(screen.GraphView(), GRAPH)
    cluster.run(RUN)
    for window in (first, second):
        window.until(lambda window=window: counted(window, "total", FINISHED) == 1)
    first.close()
    cluster.run(RUN)
    second.until(lambda: counted(second, "total", FINISHED) == 2)


def test_what_is_known_of_a_run_is_shown_while_its_driver_stands_still(cluster: Driven, gate: Path) -> None:
    early = cluster.screen()
    early.subscribe(screen.GraphView(), GRAPH)
    cluster.run(f"{RUN}; held = hold.remote({str(gate)!r})")
    early.until(lambda: counted(early, "wait_for", RUNNING) == 1)
    cluster.program.stop()
    window = cluster.screen()
    window.subscribe(screen.GraphView(), GRAPH)
    assert (counted(window, "square", FINISHED), counted(window, "wait_for", RUNNING)) == (10, 1)
    assert window.subscribe(screen.TableView("tasks"), TASKS).total == 12
    window.subscribe(screen.TableView("objects"), OBJECTS)
    window.until(lambda: window.states[OBJECTS].unanswered == 1, 10)  # who owns them is silent, and that is said
    assert cluster.get("tasks?limit=100")["total"] == 12
    cluster.program.go_on()
    gate.touch()
    window.until(lambda: counted(window, "wait_for", FINISHED) == 1)
    window.until(lambda: window.states[OBJECTS].unanswered == 0)


def test_a_window_that_does_not_read_is_told_little_and_then_the_newest(cluster: Driven) -> None:
    slow, quick = cluster.screen(), cluster.screen()
    for window in (slow, quick):
        window.subscribe(screen.TableView("tasks", limit=1000), TASKS)
    done = 0

    def newest(window: Screen) -> bool:
        return bool(window.states[TASKS].total == done)

    while quick.received < 20_000_000:  # a page has some 800 KB
        cluster.run("ray.get([square.remote(i) for i in range(500)])")
        done += 500
        quick.until(lambda: newest(quick))
    before = slow.received
    slow.until(lambda: newest(slow))
    assert slow.received - before < quick.received / 2, "what it had no room for was queued"
    assert len(slow.told_of(screen.Snapshot)) >= 2, "there was no gap"


def test_a_window_is_told_when_its_cluster_has_ended(cluster: Driven) -> None:
    window = cluster.screen()
    window.subscribe(screen.SummaryView(), SUMMARY)
    cluster.run("ray.shutdown()")
    ended = window.until_ended(15)
    assert (ended.code, ended.words) == (4404, "the cluster has ended")


def test_a_gcs_that_was_killed_says_welcome_again_and_can_be_asked_again(cluster: Driven) -> None:
    window = cluster.screen()
    window.subscribe(screen.SummaryView(), SUMMARY)
    os.kill(gcs_pid(cluster), signal.SIGKILL)
    window.until(lambda: len(window.told_of(screen.Welcome)) == 2)
    window.subscribe(screen.GraphView(), GRAPH)
    cluster.run(RUN)
    window.until(lambda: counted(window, "total", FINISHED) == 1)


def test_what_was_recorded_can_be_read_when_the_driver_is_dead(cluster: Driven, gate: Path) -> None:
    window = cluster.screen()
    cluster.run(f"{RUN}; held = hold.remote({str(gate)!r})")
    window.subscribe(screen.GraphView(), GRAPH)
    window.until(lambda: counted(window, "wait_for", RUNNING) == 1)
    cluster.program.kill()
    window.until(lambda: counted(window, "wait_for", FAILED) == 1)
    assert counted(window, "square", FINISHED) == 10
    page = window.subscribe(screen.TableView("tasks", filters=(("state", "=", "FAILED"),)), TASKS)
    assert [row["error_type"] for row in page.rows] == ["WORKER_DIED"]


@pytest.mark.parametrize("cluster_id", ["none", "0" * 64])
def test_a_websocket_to_no_cluster_is_a_404(server: object, cluster: Driven, cluster_id: str) -> None:
    import websocket

    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        cluster.server.screen(cluster_id)
    assert caught.value.status_code == 404


def test_an_actors_row_says_what_waits_for_it_and_which_methods_it_has_had(cluster: Driven, gate: Path) -> None:
    window = cluster.screen()
    code = "Held = ray.remote(type('Held', (), {'hold': lambda self, path: wait_for(path)}))"
    cluster.run(f"{code}\nheld = Held.remote(); refs = [held.hold.remote({str(gate)!r}) for _ in range(4)]")
    window.subscribe(screen.TableView("actors"), 9)
    window.until(lambda: [(row["pending_calls"], row["running_calls"]) for row in window.states[9].rows] == [(3, 1)])
    assert window.states[9].rows[0]["methods"] == ["hold"]
    gate.touch()
    window.until(lambda: window.states[9].rows[0]["pending_calls"] == 0)


def test_a_cells_tasks_are_counted_under_its_id(cluster: Driven, gate: Path) -> None:
    window = cluster.screen()
    window.subscribe(screen.CellsView(), CELLS)
    cluster.run(f"{IN_CELL}; {RUN}; held = hold.remote({str(gate)!r})")
    window.until(lambda: [cell.counts for cell in window.states[CELLS].cells] == [[0, 0, 0, 1, 11, 0]])
    (cell,) = window.states[CELLS].cells
    assert (cell.cell, cell.execution_count, cell.ended) == ("abc", 3, 0)
    gate.touch()
    window.until(lambda: window.states[CELLS].cells[0].ended > cell.began)


def test_the_timeline_has_a_lane_for_each_worker_and_actor_and_all_that_ran(cluster: Driven) -> None:
    window = cluster.screen()
    window.subscribe(screen.TimelineView(), TIMELINE)
    cluster.run(f"{RUN}; counter = Counter.remote(); answer = ray.get([counter.add.remote() for _ in range(5)])")
    window.until(lambda: sum(window.states[TIMELINE].spans.count) == 17)
    state: screen.TimelineState = window.states[TIMELINE]
    by_lane: dict[str, int] = {}
    for lane, count in zip(state.spans.lane, state.spans.count, strict=True):
        by_lane[state.lanes[lane].kind] = by_lane.get(state.lanes[lane].kind, 0) + count
    assert by_lane == {"worker": 11, "actor": 6}
    assert {lane.label for lane in state.lanes if lane.kind == "actor"} == {"Counter"}
    assert all(lane.alive and lane.id and lane.node for lane in state.lanes)
    assert state.first <= min(state.spans.start) and state.left_out == 0


def test_every_view_can_be_moved_back_to_a_moment_of_the_run(cluster: Driven, gate: Path) -> None:
    window = cluster.screen()
    window.subscribe(screen.GraphView(), GRAPH)
    cluster.run(f"held = [hold.remote({str(gate)!r}) for _ in range(3)]")
    window.until(lambda: counted(window, "wait_for", RUNNING) == 2)
    then = 1000 * cluster.run(f"answer = time.time(); open({str(gate)!r}, 'w'); ray.get(held)")
    window.until(lambda: counted(window, "wait_for", FINISHED) == 3)
    page = window.subscribe(screen.TableView("tasks", at=then), TASKS)
    states = sorted(row["state"] for row in page.rows)
    assert states[-2:] == ["RUNNING", "RUNNING"] and len(states) == 3
    (node,) = window.subscribe(screen.GraphView(at=then), 7).nodes
    assert node.counts[RUNNING] == 2 and node.counts[FINISHED] == 0
    summary = window.subscribe(screen.SummaryView(at=then), SUMMARY)
    assert summary.tasks_running + summary.tasks_waiting == 3
    assert window.subscribe(screen.TableView("nodes", at=then), 8).rows[0]["state"] == "ALIVE"
    assert window.subscribe(screen.TableView("nodes", at=then - 3_600_000), 8).rows == []
