"""The table and the functions that fill it belong together, and a row is measured as it says."""

from __future__ import annotations

import pytest

from raynb.runtime.benchmark import cases, child, table


def test_every_row_of_the_table_has_a_function_that_measures_it() -> None:
    assert not [row.key for row in table.ROWS if not callable(getattr(cases, row.key, None))]


def test_the_rows_that_grow_are_in_the_table_and_share_a_cluster() -> None:
    assert not [key for key in table.GROWING if table.BY_KEY[key].fresh]


def test_a_pattern_finds_rows_by_key_and_by_title() -> None:
    assert [row.key for row in table.matching("100 mb")] == ["put_large_warm", "get_large"]
    assert [row.key for row in table.matching("chain")] == ["chain"]
    assert table.matching("no such row") == []


def test_a_long_row_runs_only_when_it_is_asked_for() -> None:
    assert "million_tasks" not in [row.key for row in table.matching(None)]
    assert "million_tasks" in [row.key for row in table.matching(None, long=True)]
    assert "million_tasks" in [row.key for row in table.matching("million")]


def test_less_is_better_where_the_row_says_so() -> None:
    assert table.BY_KEY["import_time"].times_better(0.1, 0.4) == pytest.approx(4)
    assert table.BY_KEY["tasks"].times_better(8_000, 2_000) == pytest.approx(4)


def test_a_timed_part_is_repeated_until_its_budget_is_used_and_the_median_counts() -> None:
    calls: list[int] = []
    run = cases.Run(ray=None, budget_s=0.01)
    rate = run.rate(calls.append, usual=50)
    assert calls[0] == 5, "the warm-up is smaller"
    assert 2 <= len(calls) <= 1 + cases.REPEATS_MAX
    assert set(calls[1:]) == {50}
    assert rate > 50 / run.budget_s


def test_a_given_count_replaces_the_usual_one() -> None:
    calls: list[int] = []
    cases.Run(ray=None, budget_s=0.0, count=7).rate(calls.append, usual=5_000)
    assert set(calls) <= {7}


def test_a_row_that_fails_says_why_and_leaves_the_process_alive() -> None:
    def broken(_run: object) -> float:
        raise RuntimeError("no such thing")

    ticks = iter([1.0, 3.5])
    result = child.measure(broken, "tasks", None, clock=lambda: next(ticks))
    assert result == {"case": "tasks", "error": "RuntimeError: no such thing", "seconds": 2.5}


def test_the_child_carries_the_rows_as_a_script_does() -> None:
    rows = child.load_rows()
    assert rows["tasks"].__module__ == "__main__"
    assert rows["nothing"].__module__ == "__main__"


def test_the_memory_of_a_cluster_is_that_of_its_session_and_their_children() -> None:
    assert cases.cluster_processes("/tmp/no-such-session-7c1f") == set()
    assert cases.pss_bytes(1_000_000_000) == 0
    import os

    assert cases.pss_bytes(os.getpid()) > cases.MB
