"""The Chrome trace: what Perfetto and chrome://tracing ask for."""

from __future__ import annotations

import json

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.timeline import TraceEvent, timeline_page
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_ARGS_AVAIL, RUNNING
from raynb.runtime.messages.ids import FIRST_RETURN
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
    assert (first["name"], first["cat"], first["ts"], first["dur"]) == ("square", "task", 1_002_250_000.0, 2_250_000.0)
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
        assert "pid 400" in named["thread_name", event["pid"], event["tid"]]


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
