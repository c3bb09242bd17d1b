"""The Chrome trace: what Perfetto and chrome://tracing ask for."""

from __future__ import annotations

import json

from raynb.runtime.codec.trace_lanes import arranged
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.run_history import RunHistory
from raynb.runtime.core.span_table import SPANS_MAX, SpanTable
from raynb.runtime.core.store_history import StoreHistory
from raynb.runtime.core.timeline import TraceEvent, timeline_page
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_ARGS_AVAIL, RUNNING, Span, Spans
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.store_events import WAIT
from tests.runtime.core.store_news import store_events
from tests.runtime.core.task_rows import Row, name_def, rows, task_id, worker_def


def filled() -> EventTable:
    table = EventTable(100)
    table.ingest(
        "driver",
        rows(
            Row(1, FINISHED, started=2.25, ended=4.5),
            Row(2, FAILED, worker=1, started=3, ended=3.5, error=("RayTaskError", "boom"), parent=task_id(1)),
            Row(3, RUNNING, worker=1, started=5, ended=0),
            Row(4, PENDING_ARGS_AVAIL, worker=-1, started=0, ended=0),
            new_names=[name_def(0)],
            new_workers=[worker_def(0), worker_def(1, b"m" * 28)],
        ),
    )
    return table


def events(table: EventTable, phase: str) -> list[TraceEvent]:
    return [event for event in timeline_page(table, 0, -1, 1010.0).rows if event["ph"] == phase]


def test_a_task_that_has_run_is_a_complete_event_in_its_workers_lane() -> None:
    first, second, third = events(filled(), "X")
    assert (first["name"], first["cat"]) == ("square", "task::square")
    assert (first["ts"], first["dur"]) == (1_002_250_000.0, 2_250_000.0)
    assert first["args"]["task_id"] == task_id(1).hex() and first["args"]["waited_ms"] == 1250.0
    assert second["args"] | {"error_type": "TASK_EXECUTION_EXCEPTION", "error_message": "boom"} == second["args"]
    assert second["args"]["parent_task_id"] == task_id(1).hex()
    assert third["dur"] == 5_000_000.0 and third["args"]["state"] == "RUNNING"
    assert (second["pid"], second["tid"]) == (third["pid"], third["tid"]) != (first["pid"], first["tid"])


def test_each_lane_has_a_name() -> None:
    table = filled()
    named = {(event["name"], event["pid"], event["tid"]): event["args"]["name"] for event in events(table, "M")}
    for event in events(table, "X"):
        assert ("process_name", event["pid"], 0) in named
        assert "worker 400" in named["thread_name", event["pid"], event["tid"]]


def test_every_event_is_what_the_format_asks_for() -> None:
    for event in json.loads(json.dumps(timeline_page(filled(), 0, -1, 1010.0).rows)):
        assert event["ph"] in "XMsf"
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert isinstance(event["ts"], int | float) and isinstance(event["name"], str)
        assert event["ph"] != "X" or event["dur"] >= 0


def test_arrows_lead_from_a_task_to_those_that_use_its_result() -> None:
    table = EventTable(100)
    result, put = task_id(1) + FIRST_RETURN, task_id(1) + b"\x01\x00\x00\x80"
    tasks = [
        Row(1, started=2, ended=4),
        Row(2, worker=1, started=5, ended=6, dependencies=result + put),
        Row(3, worker=1, started=3, ended=7, dependencies=result),  # clocks of two processes may differ: no arrow back
    ]
    table.ingest("driver", rows(*tasks, new_names=[name_def(0)], new_workers=[worker_def(0), worker_def(1)]))
    (leaves,), (arrives,) = events(table, "s"), events(table, "f")
    producer, consumer, _ = events(table, "X")
    assert leaves["id"] == arrives["id"] and arrives["bp"] == "e"
    assert (leaves["tid"], arrives["tid"]) == (producer["tid"], consumer["tid"])
    assert producer["ts"] <= leaves["ts"] < producer["ts"] + producer["dur"] and arrives["ts"] == consumer["ts"]


def test_pages_together_are_the_whole() -> None:
    table = filled()
    whole = timeline_page(table, 0, -1, 1010.0)
    assert whole.more == {"next": 0}
    paged: list[TraceEvent] = []
    after = 0
    for _ in range(10):
        page = timeline_page(table, after, 2, 1010.0)
        paged += page.rows
        after = page.more["next"]
        if not after:
            break
    assert paged == whole.rows


def test_what_overlaps_in_one_worker_goes_to_lanes_of_its_own_and_its_arrows_with_it() -> None:
    table = EventTable(100)
    result = task_id(1) + FIRST_RETURN
    tasks = [
        Row(1, started=2, ended=4),
        Row(2, worker=1, started=5, ended=9),
        Row(3, worker=1, started=6, ended=7, dependencies=result),
        Row(4, worker=1, started=9, ended=10),
    ]
    table.ingest("driver", rows(*tasks, new_names=[name_def(0)], new_workers=[worker_def(0), worker_def(1)]))
    whole = arranged(timeline_page(table, 0, -1, 1010.0).rows)
    lanes = {event["args"]["task_id"]: event["tid"] for event in whole if event["ph"] == "X"}
    assert lanes[task_id(2).hex()] == lanes[task_id(4).hex()] != lanes[task_id(3).hex()]
    (arrives,) = [event for event in whole if event["ph"] == "f"]
    assert arrives["tid"] == lanes[task_id(3).hex()]
    named = {event["tid"]: event["args"]["name"] for event in whole if event["name"] == "thread_name"}
    assert named[lanes[task_id(3).hex()]].endswith("at once 2")
    times = [event["ts"] for event in whole if event["ph"] != "M"]
    assert times == sorted(times)


def test_what_happened_in_the_stores_stands_in_lanes_that_may_overlap() -> None:
    stores = StoreHistory(Membership())
    stores.take_events(b"m" * 28, store_events((1, WAIT, FINISHED, 1001.0, 1003.0), (2, WAIT, RUNNING, 1002.0, 0.0)))
    whole = arranged(timeline_page(filled(), 0, -1, 1010.0, stores, RunHistory()).rows)
    begins = [event for event in whole if event["ph"] == "b"]
    ends = {event["id2"]["local"]: event for event in whole if event["ph"] == "e"}
    assert [(event["name"], event["args"]["bytes"]) for event in begins] == [("wait for room", 64)] * 2
    assert [ends[event["id2"]["local"]]["ts"] for event in begins] == [1003e6, 1010e6]
    processes = {event["pid"]: event["args"]["name"] for event in whole if event["name"] == "process_name"}
    assert processes[begins[0]["pid"]] == f"node {(b'm' * 28).hex()[:12]}"


def test_parts_of_a_task_lie_on_top_of_it_wherever_it_has_gone() -> None:
    table = EventTable(100)
    spans = table.spans
    tasks = [Row(1, started=2, ended=9), Row(2, started=3, ended=5)]
    table.ingest("driver", rows(*tasks, new_names=[name_def(0)], new_workers=[worker_def(0)]))
    worker = worker_def(0)
    parts = [Span(task_id(n), "task:execute", 1000 + at, 0.5) for n, at in ((1, 2.5), (2, 3.5))]
    own = Span(task_id(2), "mine", 1003.6, 0.1, {"name": "shown", "cname": "bad", "k": "v"})
    spans.take("worker", Spans(worker.worker_id, worker.node_id, worker.pid, [*parts, own]), 0.0)
    spans.take("driver", Spans(b"d" * 28, worker.node_id, 77, [Span(b"", "by a driver", 1001.0, 8.0)]), 0.0)
    whole = arranged(timeline_page(table, 0, -1, 1010.0).rows)
    lanes = {event["args"]["task_id"]: event["tid"] for event in whole if event.get("cat") == "task::square"}
    assert lanes[task_id(1).hex()] != lanes[task_id(2).hex()], "two tasks at once"
    found = [event for event in whole if event["ph"] == "X" and event["cat"] in ("task:execute", "mine")]
    assert [(event["tid"], event["ts"], event["dur"]) for event in found] == [
        (lanes[task_id(1).hex()], 1002.5e6, 0.5e6),
        (lanes[task_id(2).hex()], 1003.5e6, 0.5e6),
        (lanes[task_id(2).hex()], 1003.6e6, 0.1e6),
    ]
    assert (found[2]["name"], found[2]["cname"], found[2]["args"]["k"]) == ("shown", "bad", "v")
    (driver,) = [event for event in whole if event["name"] == "by a driver"]
    (named,) = [event for event in whole if event["ph"] == "M" and event["tid"] == driver["tid"]]
    assert (named["args"]["name"], driver["pid"]) == ("process 77", found[0]["pid"])


def test_the_oldest_parts_are_given_up() -> None:
    spans = SpanTable()
    for number in range(SPANS_MAX // 1000 + 1):
        spans.take("worker", Spans(b"w" * 28, b"n" * 28, 1, [Span(b"", str(number), 1.0, 1.0)] * 1000), 0.0)
    assert spans.dropped == 1000 and [span.name for _, span in spans][:: SPANS_MAX - 1] == ["1", "100"]
