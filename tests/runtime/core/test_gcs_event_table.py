"""The event hub's table: bounded, exact in its totals, honest about what it dropped, small."""

from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raynb.runtime.core.event_names import NAME_CHARS_MAX
from raynb.runtime.core.event_table import EventTable, MalformedRows
from raynb.runtime.messages import decode, encode
from raynb.runtime.messages.events import (
    FAILED,
    FINISHED,
    PENDING_NODE_ASSIGNMENT,
    RUNNING,
    SUBMITTED_TO_WORKER,
    TaskRows,
)
from tests.runtime.core.task_rows import JOB, Row, name_def, rows, task_id, worker_def


def states(table: EventTable) -> dict[tuple[int, int], int]:
    """State by (task's number, attempt)."""
    return {
        (int.from_bytes(table.ids[slot][:8], "big"), table.attempt[slot]): table.state[slot] for slot in table.slots()
    }


def test_a_later_row_of_a_task_overwrites_the_earlier_one() -> None:
    table = EventTable(10)
    table.ingest("d", rows(Row(1, PENDING_NODE_ASSIGNMENT, worker=-1, started=0, ended=0), new_names=[name_def(0)]))
    table.ingest("d", rows(Row(1, RUNNING, ended=0), Row(2, FINISHED), new_workers=[worker_def(0)]))
    table.ingest("d", rows(Row(1, FINISHED, ended=9)))
    table.check()
    assert states(table) == {(1, 0): FINISHED, (2, 0): FINISHED}
    slot = table.index[task_id(1)]
    assert (table.ended[slot], table.worker[slot]) == (1009.0, 0)


def test_news_from_before_the_end_of_a_task_does_not_bring_it_back() -> None:
    table = EventTable(10)
    table.ingest("d", rows(Row(1, FINISHED), new_names=[name_def(0)]))
    table.ingest("d", rows(Row(1, RUNNING, ended=0)))
    table.check()
    assert states(table) == {(1, 0): FINISHED}


def test_a_name_is_bounded_whatever_its_client_calls_it() -> None:
    table = EventTable(10)
    definition = msgspec.structs.replace(name_def(0), name="n" * 10_000, call_site="c" * NAME_CHARS_MAX)
    table.ingest("d", rows(Row(1, FINISHED), new_names=[definition]))
    known = table.names.name(table.name[table.index[task_id(1)]]).definition
    assert known is not None
    assert known.name == "n" * (NAME_CHARS_MAX - 1) + "…"
    assert known.call_site == "c" * NAME_CHARS_MAX


def test_each_attempt_has_a_row_and_the_earlier_ones_have_failed() -> None:
    table = EventTable(10)
    table.ingest("d", rows(Row(1, RUNNING, ended=0), new_names=[name_def(0)]))
    table.ingest("d", rows(Row(1, SUBMITTED_TO_WORKER, attempt=1, ended=0)))
    table.ingest("d", rows(Row(1, RUNNING, attempt=0, ended=0)))  # late
    table.ingest("d", rows(Row(1, FINISHED, attempt=2)))
    table.check()
    assert states(table) == {(1, 0): FAILED, (1, 1): FAILED, (1, 2): FINISHED}


def test_the_longest_finished_is_dropped_first_and_what_runs_is_kept() -> None:
    table = EventTable(4)
    table.ingest("d", rows(Row(1, RUNNING, ended=0), new_names=[name_def(0)], totals=[(0, 1, 0, 0, 1)]))
    for number in range(2, 8):
        table.ingest("d", rows(Row(number), totals=[(0, number, number - 1, 0, 1)]))
        table.check()
    assert states(table) == {(1, 0): RUNNING, (5, 0): FINISHED, (6, 0): FINISHED, (7, 0): FINISHED}
    assert table.dropped == 3


def test_while_nothing_is_finished_new_tasks_are_not_kept_but_counted() -> None:
    table = EventTable(3)
    pending = [Row(number, PENDING_NODE_ASSIGNMENT, started=0, ended=0) for number in range(5)]
    table.ingest("d", rows(*pending, new_names=[name_def(0)], totals=[(0, 5, 0, 0, 0)]))
    table.check()
    assert (len(table), table.dropped) == (3, 2)
    table.ingest("d", rows(Row(0), Row(4), totals=[(0, 5, 2, 0, 0)]))  # one ends, and there is room
    table.check()
    assert states(table) == {(1, 0): 1, (2, 0): 1, (4, 0): FINISHED}


def test_what_a_dead_client_had_not_finished_has_failed() -> None:
    table = EventTable(10)
    table.ingest(
        "d", rows(Row(1), Row(2, RUNNING, ended=0), new_names=[name_def(0)], totals=[(0, 5, 1, 1, 1)])
    )  # fmt: skip
    table.client_died("d", "killed by SIGKILL", 2000.0)
    table.check()
    assert states(table) == {(1, 0): FINISHED, (2, 0): FAILED}
    slot = table.index[task_id(2)]
    assert table.ended[slot] == 2000.0
    assert table.errors[slot][0] == "OwnerDiedError" and "killed by SIGKILL" in table.errors[slot][1]
    (totals,) = table.names.totals()
    assert (totals.submitted, totals.finished, totals.failed, totals.running) == (5, 1, 4, 0)


def test_what_an_ended_job_had_not_finished_has_failed_with_the_job() -> None:
    table = EventTable(10)
    table.ingest("d", rows(Row(2, RUNNING, ended=0), new_names=[name_def(0)], totals=[(0, 1, 0, 0, 1)]))
    table.client_died("d", "killed by SIGKILL", 2000.0, lambda job: job == JOB)
    kind, text = table.errors[table.index[task_id(2)]]
    assert kind == "WorkerCrashedError" and text.startswith(f"Job finishes (jobid={JOB.hex()})")
    assert "killed by SIGKILL" in text


def test_names_of_dead_clients_are_let_go_of_and_their_counts_stay() -> None:
    table = EventTable(3)
    for client in range(50):
        origin = b"%012d" % client
        table.ingest(
            f"w{client}", rows(Row(1, origin=origin), new_names=[name_def(0)], totals=[(0, 2, 1, 1, 0)])
        )  # fmt: skip
        table.client_died(f"w{client}", "ended", 1.0)
        table.check()
    assert table.statistics()["names"] <= 4
    (totals,) = table.names.totals()
    assert (totals.submitted, totals.finished, totals.failed) == (100, 50, 50)


def test_rows_without_a_name_wait_for_it() -> None:
    table = EventTable(10)
    assert table.ingest("d", rows(Row(1, name=7, worker=-1)))
    assert table.names.name(table.name[0]).function == "?"
    assert not table.ingest("d", rows(new_names=[name_def(7, "late")]))
    assert table.names.name(table.name[0]).function == "late"
    assert table.ingest("d", rows(Row(2, name=7, worker=3)))  # of the worker nothing is known
    table.check()


@pytest.mark.parametrize(
    "parts",
    [
        {"attempts": b""},
        {"started": []},
        {"ids": bytes(23)},
        {"states": bytes([6])},
        {"parents": bytes(5)},
        {"errors": [(1, "RayTaskError", "no such row")]},
        {"dependencies": [(-1, b"")]},
    ],
)
def test_columns_that_do_not_fit_together_are_refused_whole(parts: dict[str, object]) -> None:
    table = EventTable(10)
    with pytest.raises(MalformedRows):
        table.ingest("d", rows(Row(1), new_names=[name_def(0)], **parts))
    table.check()
    assert len(table) == 0


def test_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raynb.runtime.core.event_table.TEXT_BYTES_MAX", 10_000)
    table = EventTable(100)
    failed = [Row(n, FAILED, error=("RayTaskError", "x" * 3000), dependencies=bytes(28 * 50)) for n in range(20)]
    table.ingest("d", rows(*failed, new_names=[name_def(0)]))
    table.check()
    assert table.statistics()["text_bytes"] <= 10_000
    assert {kind for kind, _ in table.errors.values()} == {"RayTaskError"}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, str, int, int]]:
    """(client, what, task, name) in any order that a client could send."""
    clients = st.sampled_from(["d", "w1", "w2"])
    what = st.sampled_from(["submit", "submit", "run", "finish", "fail", "retry", "die"])
    return draw(st.lists(st.tuples(clients, what, st.integers(0, 15), st.integers(0, 2)), max_size=80))


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(1, 12), st.integers(1, 7))
def test_totals_are_exact_whatever_is_dropped(
    history: list[tuple[str, str, int, int]], tasks_max: int, batch: int
) -> None:
    """Against a client that counts for itself, with few rows and any size of batches."""
    table = EventTable(tasks_max)
    tasks: dict[tuple[str, int], list[int]] = {}  # state, attempt, name
    counts: dict[tuple[str, int], list[int]] = {}
    gone: dict[int, list[int]] = {}
    dead: set[str] = set()
    pending: dict[str, list[Row]] = {}

    def flush(client: str) -> None:
        totals = [(name, *count[:3], 0) for (owner, name), count in counts.items() if owner == client]
        names = [name_def(name, f"f{name}") for name in range(3)]
        message = rows(*pending.pop(client, []), totals=totals, new_names=names, new_workers=[worker_def(0)])
        decoded = decode(encode(message))
        assert isinstance(decoded, TaskRows)
        table.ingest(client, decoded)
        table.check()

    for client, what, task, name in history:
        if client in dead:
            continue
        if what == "die":
            flush(client)
            table.client_died(client, "ended", 1.0)
            table.check()
            dead.add(client)
            for (owner, of_name), count in counts.items():
                if owner == client:
                    sums = gone.setdefault(of_name, [0, 0, 0])
                    sums[0] += count[0]
                    sums[1] += count[1]
                    sums[2] += count[0] - count[1]
            continue
        entry = tasks.get((client, task))
        if what == "submit" and entry is None:
            entry = tasks[client, task] = [PENDING_NODE_ASSIGNMENT, 0, name]
            counts.setdefault((client, name), [0, 0, 0])[0] += 1
        elif entry is None or entry[0] >= FINISHED:
            continue
        elif what == "run":
            entry[0] = RUNNING
        elif what == "retry":
            entry[0], entry[1] = PENDING_NODE_ASSIGNMENT, entry[1] + 1
        elif what in ("finish", "fail"):
            entry[0] = FINISHED if what == "finish" else FAILED
            counts[client, entry[2]][1 if what == "finish" else 2] += 1
        else:
            continue
        origin = client.encode().ljust(12, b".")
        pending.setdefault(client, []).append(Row(task, entry[0], entry[1], entry[2], origin=origin))
        if len(pending[client]) >= batch:
            flush(client)
    for client in list(pending):
        flush(client)

    expected = {name: list(sums) for name, sums in gone.items()}
    for (owner, name), count in counts.items():
        if owner not in dead:
            sums = expected.setdefault(name, [0, 0, 0])
            for at in range(3):
                sums[at] += count[at]
    found = {int(t.function[1:]): [t.submitted, t.finished, t.failed] for t in table.names.totals() if t.submitted}
    assert found == expected
    assert table.dropped == sum(sums[0] for sums in expected.values()) - len(table.index)
    assert len(table) <= tasks_max


def test_a_task_costs_less_than_300_bytes() -> None:
    count, batch = 50_000, 5000

    def filled(tasks: int) -> EventTable:
        table = EventTable(200_000)
        for at in range(0, tasks, batch):
            table.ingest("d", rows(*map(Row, range(at, at + batch)), new_names=[name_def(0)]))
        return table

    table = filled(count)
    columns: list[object] = [table.state, table.attempt, table.name, table.worker, table.size, table.ids, table.parents]
    columns += [table.submitted, table.ready, table.pushed, table.started, table.ended, table.index, table._over]
    whole = sum(map(sys.getsizeof, columns))
    whole += sum(map(sys.getsizeof, table.ids)) + sum(map(sys.getsizeof, table.index.values()))
    assert whole / count < 300
