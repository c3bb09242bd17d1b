"""The timeline that a screen is told: lanes, spans that are joined and none left out, and moments that have passed."""

from __future__ import annotations

from raynb.runtime.core.lane_spans import LaneSpans, Span
from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_NODE_ASSIGNMENT, RUNNING
from tests.runtime.core.screen_client import DRIVER, Hub, Window
from tests.runtime.core.task_rows import Row, name_def, rows, task_id, wall, worker_def

ACTOR = b"actor-of-16-byte"


def submit(hub: Hub, *tasks: Row, finished: int = -1) -> None:
    names = [name_def(0), name_def(1, "cube"), name_def(2, "Counter.add", 2, ACTOR)]
    done = len(tasks) if finished < 0 else finished
    totals = [(0, len(tasks), done, 0, 0)]
    workers = [worker_def(0), worker_def(1)]
    hub.receive(DRIVER, rows(*tasks, new_names=names, new_workers=workers, totals=totals))


def spans_of(state: screen.TimelineState) -> list[tuple[str, str, float, float, int, int]]:
    """(lane, name, seconds after 1,000, milliseconds, state, tasks)."""
    s = state.spans
    columns = zip(s.lane, s.name, s.start, s.duration_ms, s.state, s.count, strict=True)
    return [
        (state.lanes[lane].label, state.names[name], start / 1000 - 1000, duration, of, count)
        for lane, name, start, duration, of, count in columns
    ]


def test_there_is_a_lane_for_each_worker_and_each_actor(hub: Hub, window: Window) -> None:
    submit(
        hub,
        Row(1, started=2, ended=3),
        Row(2, worker=1, name=1, started=2, ended=4, state=FAILED),
        Row(3, worker=1, name=2, started=5, ended=6),
    )
    state = window.subscribe(screen.TimelineView())
    assert spans_of(state) == [
        ("worker 4000", "square", 2, 1000, FINISHED, 1),
        ("worker 4001", "cube", 2, 2000, FAILED, 1),
        (f"actor {ACTOR.hex()[:8]}", "Counter.add", 5, 1000, FINISHED, 1),
    ]
    assert [lane.kind for lane in state.lanes] == ["worker", "worker", "actor"]
    assert state.spans.task == [task_id(n).hex() for n in (1, 2, 3)]
    assert (state.first, state.last) == (1001 * 1000, 1006 * 1000)


def test_what_runs_lasts_until_now_and_is_there_once_when_it_has_ended(hub: Hub, window: Window) -> None:
    submit(hub, Row(1, RUNNING, started=99.5, ended=0), finished=0)
    (span,) = spans_of(window.subscribe(screen.TimelineView()))
    assert span[3:] == (500, RUNNING, 1)
    submit(hub, Row(1, started=99.5, ended=100.1))
    window.tick()
    assert [span[3:] for span in spans_of(window.states[1])] == [(600, FINISHED, 1)]


def test_a_window_has_what_overlaps_it_and_then_stands_still(hub: Hub, window: Window) -> None:
    submit(hub, *(Row(n, started=n, ended=n + 1.5) for n in range(2, 20)))
    state = window.subscribe(screen.TimelineView(start=wall(5) * 1000, end=wall(7) * 1000))
    assert [span[2] for span in spans_of(state)] == [4, 5, 6]
    submit(hub, Row(50, started=50, ended=51))
    assert [window.tick() for _ in range(5)] == [[]] * 5


def test_only_tasks_of_the_functions_that_are_asked_for(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), Row(2, name=1))
    state = window.subscribe(screen.TimelineView(names=("cube",)))
    assert {span[1] for span in spans_of(state)} == {"cube"}


def test_a_window_that_ends_before_it_starts_is_refused(window: Window) -> None:
    window.subscribe(screen.TimelineView(start=2, end=1))
    assert isinstance(window.told[-1], screen.Refused)


def test_short_neighbours_are_joined_and_all_are_counted(hub: Hub, window: Window) -> None:
    short = [Row(n, started=2 + n / 1000, ended=2 + n / 1000 + 0.0009, state=FINISHED) for n in range(1000)]
    submit(hub, *short, Row(5000, name=1, worker=1, started=2, ended=60))
    state = window.subscribe(screen.TimelineView(buckets=100))
    ours = [span for span in spans_of(state) if span[1] == "square"]
    assert len(ours) <= 3 and sum(span[5] for span in ours) == 1000
    assert sum(state.spans.count) == 1001 and state.left_out == 0


def test_a_hundred_thousand_tasks_are_few_spans_and_each_is_counted(hub: Hub, window: Window) -> None:
    window.subscribe(screen.TimelineView(spans_max=2000))
    for batch in range(20):
        tasks = [
            Row(n, worker=n % 2, name=n // 2 % 2, started=1 + n / 1000, ended=1 + n / 1000 + 0.0015)
            for n in range(batch * 5000 + 1, batch * 5000 + 5001)
        ]
        submit(hub, *tasks)
        window.tick(2.0)
        window.acknowledge()
    state = window.states[1]
    assert sum(state.spans.count) == 100_000
    assert len(state.spans.count) <= 2000 and state.left_out == 0
    fresh = Window(hub, 2)
    again = fresh.subscribe(screen.TimelineView(spans_max=1999))
    assert sum(again.spans.count) == 100_000 and len(again.spans.count) <= 1999


def test_a_live_view_looks_at_each_row_once(hub: Hub) -> None:
    from raynb.runtime.core.timeline_view import Timeline

    submit(hub, *(Row(n, started=n / 100, ended=n / 100 + 0.01) for n in range(100, 1100)))
    view = Timeline(hub.machine, screen.TimelineView(spans_max=10))
    view.refresh(1100.0)
    assert view.cost >= 1000
    submit(hub, *(Row(n, started=n / 100, ended=n / 100 + 0.01) for n in range(2000, 2005)))
    view.refresh(1101.0)
    assert view.cost < 20


def test_a_failure_among_what_is_joined_is_seen() -> None:
    spans = LaneSpans(0.0, 1.0, 100)
    for n in range(5):
        spans.add(Span(0, n / 10, n / 10 + 0.05, 0, FAILED if n == 3 else FINISHED, 1, b"t", 0.05))
    (span,) = spans.shown()
    assert (span.state, span.count, span.task) == (FAILED, 5, b"")


def test_what_has_begun_is_named_after_what_took_longest() -> None:
    spans = LaneSpans(0.0, 1.0, 100)
    spans.add(Span(0, 0.0, 0.1, 7, FINISHED, 1, b"a", 0.1))
    spans.add(Span(0, 0.1, 0.6, 8, FINISHED, 1, b"b", 0.5))
    assert [span.name for span in spans.shown()] == [8]


def test_the_overview_and_the_summary_tell_of_all_the_run(hub: Hub, window: Window) -> None:
    for number in range(1, 6):
        numbers = range(100, 100 + number)
        waits = [Row(n, PENDING_NODE_ASSIGNMENT, submitted=n + 0.5, started=0, ended=0) for n in numbers]
        submit(hub, *waits, finished=0)
        hub.tick(1.0)
    state = window.subscribe(screen.TimelineView())
    waiting = [(when, count) for when, count, _ in state.waiting]
    assert [count for _, count in waiting][-5:] == [1, 2, 3, 4, 5]
    then = window.subscribe(screen.SummaryView(at=waiting[-3][0] + 1), 2)
    assert then.tasks_waiting == 3
    assert window.subscribe(screen.SummaryView(), 3).tasks_waiting == 5


def test_samples_are_bounded_and_reach_back_to_the_beginning() -> None:
    from raynb.runtime.core.run_history import SAMPLES_MAX, RunHistory

    history = RunHistory()
    states = [screen.SummaryState(1, 0, 2, 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 1) for n in range(5000)]
    for number, state in enumerate(states):
        history.tick(1000.0 + number, number + 1, lambda state=state: (state, 1))  # type: ignore[misc]
    assert len(history.samples) <= SAMPLES_MAX
    assert history.samples[0][0] == 1000.0 and history.samples[-1][0] > 5990
    found = history.at(3500.0)
    assert found is not None and 2480 <= found.tasks_waiting <= 2500
    assert history.at(10.0) is None


# -- tables at a moment, in a window


def test_tasks_are_shown_as_they_were(hub: Hub, window: Window) -> None:
    submit(
        hub,
        Row(1, submitted=1, ready=1, pushed=1.5, started=2, ended=5),
        Row(2, FAILED, submitted=1, started=6, ended=7, error=("RayTaskError", "no")),
        Row(3, submitted=8, started=9, ended=10),
    )
    page = window.subscribe(screen.TableView("tasks", at=wall(4) * 1000, sort="creation_time_ms", descending=False))
    assert [row["state"] for row in page.rows] == ["RUNNING", "PENDING_ARGS_AVAIL"]
    assert [row["end_time_ms"] for row in page.rows] == [None, None]
    assert page.rows[1]["error_message"] is None and page.total == 2
    running = (("state", "=", "RUNNING"),)
    assert window.subscribe(screen.TableView("tasks", filters=running, at=wall(4) * 1000)).total == 1
    assert window.subscribe(screen.TableView("tasks", filters=running, at=wall(6.5) * 1000)).total == 1
    assert window.subscribe(screen.TableView("tasks", filters=running, at=wall(20) * 1000)).total == 0


def test_a_window_of_time_holds_what_ran_in_it(hub: Hub, window: Window) -> None:
    submit(hub, *(Row(n, name=n % 2, started=n, ended=n + 1.5) for n in range(2, 20)))
    between = (wall(5) * 1000, wall(7) * 1000)
    page = window.subscribe(screen.TableView("tasks", between=between))
    assert sorted(row["start_time_ms"] for row in page.rows) == [1_004_000, 1_005_000, 1_006_000]
    graph = window.subscribe(screen.GraphView(between=between), 2)
    assert {node.label: sum(node.counts) for node in graph.nodes} == {"square": 2, "cube": 1}
    single = window.subscribe(screen.GraphView(by="task", between=between), 3)
    assert len(single.nodes) == 3


def test_a_field_may_have_one_of_several_values(hub: Hub, window: Window) -> None:
    submit(hub, Row(1), Row(2, name=1), Row(3, name=2), Row(4, FAILED))
    names = (("name", "in", "square\ncube"),)
    assert window.subscribe(screen.TableView("tasks", filters=names)).total == 3
    states = (("state", "in", "FAILED\nRUNNING"),)
    assert window.subscribe(screen.TableView("tasks", filters=states)).total == 1
