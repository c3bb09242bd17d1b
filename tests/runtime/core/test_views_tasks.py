"""What the state API is answered: Ray's fields, filters, limits."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.task_views import TASK_BASE, TASK_FIELDS, object_row, summary_page, task_page
from raynb.runtime.messages.events import FAILED, FINISHED, PENDING_ARGS_AVAIL, RUNNING, ObjectRow
from raynb.runtime.messages.ids import PUT_INDEX_BASE
from tests.runtime.core.task_rows import JOB, Row, name_def, rows, task_id, worker_def

ACTOR = b"actoractor12" + JOB


@pytest.fixture
def table() -> EventTable:
    """Five tasks: squares finished, failed and running, an actor's method, one that waits."""
    table = EventTable(100)
    table.ingest(
        "driver",
        rows(
            Row(1, FINISHED, submitted=1, ready=1.5, pushed=1.75, started=2, ended=4, size=80),
            Row(2, FAILED, submitted=2, error=("RayTaskError", "Traceback ...\nZeroDivisionError"), parent=task_id(1)),
            Row(3, RUNNING, submitted=3, ended=0),
            Row(4, FINISHED, name=1, worker=1, submitted=4),
            Row(5, PENDING_ARGS_AVAIL, worker=-1, submitted=5, started=0, ended=0, dependencies=task_id(3) + bytes(4)),
            new_names=[name_def(0), name_def(1, "Counter.increment", 2, ACTOR, name="increment")],
            new_workers=[worker_def(0), worker_def(1)],
            totals=[(0, 4, 1, 1, 1), (1, 1, 1, 0, 0)],
        ),
    )
    return table


def found(table: EventTable, *filters: tuple[str, str, str], limit: int = 100, task: str = "") -> list[int]:
    page = task_page(table, filters, limit, task, False)
    return [int(row["task_id"][:16], 16) for row in page.rows]


def test_a_row_has_the_fields_of_rays_task_state(table: EventTable) -> None:
    page = task_page(table, [], 100, task_id(2).hex(), True)
    (row,) = page.rows
    assert list(row)[: len(TASK_FIELDS)] == list(TASK_FIELDS)
    expected: dict[str, Any] = {
        "task_id": task_id(2).hex(),
        "attempt_number": 0,
        "name": "square",
        "state": "FAILED",
        "job_id": JOB.hex(),
        "actor_id": None,
        "type": "NORMAL_TASK",
        "func_or_class_name": "square",
        "parent_task_id": task_id(1).hex(),
        "node_id": (b"n" * 28).hex(),
        "worker_id": (b"0" * 28).hex(),
        "worker_pid": 4000,
        "error_type": "TASK_EXECUTION_EXCEPTION",
        "required_resources": {"CPU": 1.0},
        "creation_time_ms": 1_002_000,
        "start_time_ms": 1_002_000,
        "end_time_ms": 1_003_000,
        "error_message": "Traceback ...\nZeroDivisionError",
        "call_site": "cell.py:3",
        "cell": "cell-1",
    }
    assert {name: row[name] for name in expected} == expected


def test_the_states_that_a_task_went_through_have_their_times(table: EventTable) -> None:
    (row,) = task_page(table, [], 1, task_id(1).hex(), True).rows
    assert row["events"] == [
        {"state": "PENDING_ARGS_AVAIL", "created_ms": 1_001_000},
        {"state": "PENDING_NODE_ASSIGNMENT", "created_ms": 1_001_500},
        {"state": "SUBMITTED_TO_WORKER", "created_ms": 1_001_750},
        {"state": "RUNNING", "created_ms": 1_002_000},
        {"state": "FINISHED", "created_ms": 1_004_000},
    ]


def test_without_detail_a_row_is_short(table: EventTable) -> None:
    assert all(tuple(row) == TASK_BASE for row in task_page(table, [], 100, "", False).rows)


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ([("state", "=", "FINISHED")], [1, 4]),
        ([("state", "!=", "FINISHED")], [2, 3, 5]),
        ([("name", "=", "increment")], [4]),
        ([("func_or_class_name", "!=", "square")], [4]),
        ([("type", "=", "ACTOR_TASK")], [4]),
        ([("actor_id", "=", ACTOR.hex())], [4]),
        ([("actor_id", "=", "None")], [1, 2, 3, 5]),
        ([("worker_pid", "=", "4001")], [4]),
        ([("error_type", "=", "TASK_EXECUTION_EXCEPTION")], [2]),
        ([("parent_task_id", "=", task_id(1).hex())], [2]),
        ([("task_id", "=", task_id(5).hex())], [5]),
        ([("cell", "=", "cell-1"), ("state", "=", "RUNNING")], [3]),
        ([("state", "=", "finished")], [1, 4]),
    ],
)
def test_filters_compare_text_and_must_all_hold(
    table: EventTable, filters: list[tuple[str, str, str]], numbers: list[int]
) -> None:
    assert found(table, *filters) == numbers


def test_an_unknown_field_or_operator_is_an_error_that_names_those_there_are(table: EventTable) -> None:
    with pytest.raises(ValueError, match=r"no field 'colour'.*func_or_class_name"):
        found(table, ("colour", "=", "red"))
    with pytest.raises(ValueError, match="= and !="):
        found(table, ("state", "<", "RUNNING"))


def test_a_limit_keeps_the_newest_and_says_how_many_there_were(table: EventTable) -> None:
    page = task_page(table, [("name", "=", "square")], 2, "", False)
    assert [int(row["task_id"][:16], 16) for row in page.rows] == [3, 5]
    assert page.total == 4


def test_the_summary_counts_by_what_is_shown_exactly_and_divides_what_waits(table: EventTable) -> None:
    page = summary_page(table, [], 100)
    assert page.rows == [
        {
            "func_or_class_name": "square",
            "type": "NORMAL_TASK",
            "state_counts": {"PENDING_ARGS_AVAIL": 1, "RUNNING": 1, "FINISHED": 1, "FAILED": 1},
        },
        {"func_or_class_name": "increment", "type": "ACTOR_TASK", "state_counts": {"FINISHED": 1}},
    ]
    assert page.more == {
        "total_tasks": 4,
        "total_actor_scheduled": 0,
        "total_actor_tasks": 1,
        "summary_by": "func_name",
    }


def test_the_summary_may_be_by_job(table: EventTable) -> None:
    rows = summary_page(table, [], 100, by_job=True).rows
    alone = summary_page(table, [], 100).rows
    assert [row.pop("job_id") for row in rows] == [JOB.hex(), JOB.hex()]
    assert rows == alone


def test_where_an_object_was_put_is_told_with_how_only_where_that_is_asked_for(table: EventTable) -> None:
    oid = task_id(77) + PUT_INDEX_BASE.to_bytes(4, "little")

    def site(told: str, *, says_how: bool = False) -> str:
        row = ObjectRow(oid, 100, "STORED", 1, 0, 0, call_site=told)
        found = object_row(row, table, 99, "DRIVER", "127.0.0.1", [], [], says_how=says_how)
        return str(found["call_site"])

    assert site("(put object) In[3]:<module>:2") == "In[3]:2"
    assert site("(put object) /home/a (b)/c.py:make:2") == "/home/a (b)/c.py:make:2"
    assert site("(put object) In[3]:<module>:2", says_how=True) == "(put object) In[3]:<module>:2"


def test_an_object_tells_who_holds_it_and_how_its_task_does(table: EventTable) -> None:
    def row(number: int, **parts: Any) -> dict[str, Any]:
        fields = {"local": 0, "tasks": 0, "borrowers": 0, "state": "PENDING", "size": 0, **parts}
        oid = task_id(number) + (1).to_bytes(4, "little")
        return object_row(ObjectRow(oid, **fields), table, 99, "DRIVER", "127.0.0.1", [], [])

    assert row(3, local=1)["reference_type"] == "LOCAL_REFERENCE"
    assert row(3, tasks=1)["reference_type"] == "USED_BY_PENDING_TASK"
    assert row(3, borrowers=1)["reference_type"] == "PINNED_IN_MEMORY"
    assert row(3)["task_status"] == "RUNNING"
    assert row(3, state="READY")["task_status"] == "FINISHED"
    assert row(77)["task_status"] == "PENDING_NODE_ASSIGNMENT"
    assert row(3)["state"] == "PENDING"


def test_what_an_actors_handles_hold_has_no_state_of_a_value() -> None:
    table = EventTable(100)
    created = name_def(0, "Counter.__init__", 1, ACTOR)
    table.ingest("driver", rows(Row(1, FINISHED), new_names=[created], new_workers=[worker_def(0)]))
    row = ObjectRow(task_id(1) + (1).to_bytes(4, "little"), 0, "PENDING", 1, 0, 0)
    found = object_row(row, table, 99, "DRIVER", "127.0.0.1", ["counter"], [])
    assert (found["reference_type"], found["state"], found["task_status"]) == ("ACTOR_HANDLE", "", "FINISHED")
