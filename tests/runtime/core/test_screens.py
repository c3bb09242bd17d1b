"""What screens are told: a snapshot, then what has changed, and never more than they take in."""

from __future__ import annotations

import msgspec
import pytest

from raynb.runtime.core import screens
from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_ARGS_AVAIL, RUNNING
from raynb.runtime.messages.gcs import SCREEN_SILENCE_S, ScreenRequest
from raynb.runtime.messages.node import LeaveNode
from tests.runtime.core.screen_client import DRIVER, Hub, Window
from tests.runtime.core.task_rows import Row, name_def, rows, worker_def


def submit(hub: Hub, *tasks: Row, submitted: int = 0, finished: int = 0, failed: int = 0) -> None:
    names, workers = [name_def(0)], [worker_def(0)]
    totals = [(0, submitted or len(tasks), finished, failed, 0)]
    hub.receive(DRIVER, rows(*tasks, new_names=names, new_workers=workers, totals=totals))


def test_the_first_words_say_which_protocol_and_which_cluster(window: Window) -> None:
    window.subscribe(screen.SummaryView())
    assert window.told[0] == screen.Welcome(screen.SCREEN_PROTOCOL, "1.2.3", "demo")


def test_a_snapshot_comes_at_once_and_then_what_has_changed(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), finished=1)
    before = window.subscribe(screen.GraphView())
    assert [node.counts for node in before.nodes] == [[0, 0, 0, 0, 1, 0]]
    submit(hub, Row(2, FAILED), submitted=2, finished=1, failed=1)
    (delta,) = window.tick()
    assert isinstance(delta, screen.Delta) and delta.seq == 1
    assert [node.counts for node in window.states[1].nodes] == [[0, 0, 0, 0, 1, 1]]


def test_nothing_is_told_while_nothing_changes(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), finished=1)
    window.subscribe(screen.GraphView())
    assert [window.tick() for _ in range(20)] == [[]] * 20


def test_at_most_five_updates_come_in_a_second_however_much_happens(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), finished=1)
    window.subscribe(screen.GraphView())
    told = 0
    for number in range(2, 102):
        submit(hub, Row(number), submitted=number, finished=number)
        told += len(window.tick(0.01))
    assert 4 <= told <= 6
    window.tick()
    assert window.states[1].tasks == 101


def test_one_view_is_looked_at_once_for_all_who_ask_for_it(hub: Hub) -> None:
    windows = [Window(hub, number) for number in range(1, 4)]
    for window in windows:
        window.subscribe(screen.GraphView(), number=7)
    assert hub.machine.screens.statistics() == {"screens": 3, "views": 1, "subscriptions": 3}
    submit(hub, Row(1), finished=1)
    effects = hub.tick()
    for window in windows:
        window.take(effects)
        assert window.states[7].tasks == 1


def test_a_slow_screen_is_sent_no_more_than_its_window_and_then_a_snapshot(
    hub: Hub, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "WINDOW_BYTES", 2000)
    window.subscribe(screen.GraphView())
    taken = window.received
    for number in range(1, 50):
        submit(hub, Row(number), submitted=number, finished=number)
        window.tick()
    assert window.received - taken < 2 * 2000
    assert window.states[1].tasks < 49, "it was sent everything"
    before = len(window.told)
    window.acknowledge()
    (snapshot,) = window.told[before:]
    assert isinstance(snapshot, screen.Snapshot) and snapshot.state.tasks == 49  # type: ignore[union-attr]
    submit(hub, Row(50), submitted=50, finished=50)
    (delta,) = window.tick()
    assert isinstance(delta, screen.Delta) and delta.seq == 1


def test_a_slow_screen_does_not_slow_another(hub: Hub, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "WINDOW_BYTES", 2000)
    quick = Window(hub, 2)
    window.subscribe(screen.GraphView())
    quick.subscribe(screen.GraphView())
    for number in range(1, 50):
        submit(hub, Row(number), submitted=number, finished=number)
        effects = hub.tick()
        quick.take(effects)
        quick.acknowledge()
    assert quick.states[1].tasks == 49


def test_who_has_left_is_told_nothing_more_and_costs_nothing(hub: Hub, window: Window) -> None:
    window.subscribe(screen.GraphView())
    hub.receive(window.guest, LeaveNode())
    submit(hub, Row(1), finished=1)
    assert window.tick() == []
    assert hub.machine.screens.statistics() == {"screens": 0, "views": 0, "subscriptions": 0}
    assert not hub.machine.screens.waiting


def test_a_closed_window_of_a_guest_that_stays_is_forgotten(hub: Hub, window: Window) -> None:
    other = Window(hub, 2)
    window.subscribe(screen.GraphView())
    other.subscribe(screen.GraphView())
    hub.receive(window.guest, ScreenRequest(window.number, b"", -1))
    assert hub.machine.screens.statistics()["screens"] == 1


def test_a_silent_window_is_forgotten(hub: Hub, window: Window) -> None:
    window.subscribe(screen.GraphView())
    window.tick(SCREEN_SILENCE_S - 1)
    assert hub.machine.screens.waiting
    window.tick(2)
    assert not hub.machine.screens.waiting


@pytest.mark.parametrize(
    ("data", "number", "words"),
    [
        (b"no json", 0, "malformed"),
        (b'{"type":"dance","id":4}', 4, "dance"),
        (b'{"type":"subscribe","id":5,"view":{"view":"table","table":"secrets"}}', 5, "secrets"),
        (b'{"type":"subscribe","id":5,"view":{"view":"table","table":"nodes","sort":"colour"}}', 5, "node_id"),
        (b'{"type":"subscribe","id":6,"view":{"view":"table","table":"tasks","filters":[["x","=","y"]]}}', 6, "state"),
        (b" " * 70_000, 0, "65536"),
    ],
)
def test_what_can_not_be_served_is_refused_in_words(window: Window, data: bytes, number: int, words: str) -> None:
    window.take(window.hub.receive(window.guest, ScreenRequest(1, data)))
    refused = window.told[-1]
    assert isinstance(refused, screen.Refused)
    assert refused.id == number and words in refused.error


def test_a_window_has_a_limit_of_views_and_a_cluster_of_windows(hub: Hub, window: Window) -> None:
    for number in range(screens.SUBSCRIPTIONS_MAX + 1):
        window.subscribe(screen.GraphView(limit=number + 1), number)
    assert isinstance(window.told[-1], screen.Refused) and window.told[-1].id == screens.SUBSCRIPTIONS_MAX
    windows = [Window(hub, number) for number in range(2, screens.SCREENS_MAX + 2)]
    for one in windows:
        one.subscribe(screen.SummaryView())
    assert isinstance(windows[-1].told[-1], screen.Refused)


def test_a_fault_in_a_view_costs_that_view_alone(hub: Hub, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    window.subscribe(screen.GraphView(), 1)
    window.subscribe(screen.SummaryView(), 2)
    monkeypatch.setattr("raynb.runtime.core.graph_view.longest_path", lambda *_: 1 / 0)
    submit(hub, Row(1), finished=1)
    told = window.tick()
    assert [type(each) for each in told] == [screen.Refused, screen.Delta]
    assert "division by zero" in told[0].error


def test_a_dead_drivers_tasks_can_still_be_looked_at(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), Row(2, RUNNING, ended=0), Row(3, PENDING_ARGS_AVAIL, started=0, ended=0), finished=1)
    hub.machine.events.client_died(DRIVER, "killed", 2000.0)
    state = window.subscribe(screen.GraphView())
    assert [node.counts for node in state.nodes] == [[0, 0, 0, 0, 1, 2]]


def test_a_page_of_tasks_is_searched_sorted_and_cut(hub: Hub, window: Window) -> None:
    submit(
        hub,
        *(Row(n, FINISHED, submitted=n, started=n, ended=n + (n % 3) + 1) for n in range(1, 10)),
        Row(10, FAILED, submitted=10, error=("RayTaskError", "a Zebra was there")),
        finished=9,
        failed=1,
    )
    page = window.subscribe(screen.TableView("tasks", limit=3, offset=1))
    assert [int(row["task_id"][:16], 16) for row in page.rows] == [9, 8, 7] and page.total == 10
    page = window.subscribe(screen.TableView("tasks", search="zebra"))
    assert [int(row["task_id"][:16], 16) for row in page.rows] == [10] and page.total == 1
    page = window.subscribe(screen.TableView("tasks", sort="duration_ms", limit=2))
    assert [row["end_time_ms"] - row["start_time_ms"] for row in page.rows] == [3000, 3000]
    page = window.subscribe(screen.TableView("tasks", filters=(("state", "=", "FAILED"),), sort="name"))
    assert page.total == 1


def test_a_state_is_json_that_any_browser_reads(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), finished=1)
    window.subscribe(screen.GraphView())
    encoded = msgspec.json.encode(window.told[-1])
    assert msgspec.json.decode(encoded)["state"]["view"] == "graph"
