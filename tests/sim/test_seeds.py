"""Simulated clusters keep what is promised: five hundred seeds, half of them with faults (``--sim-seeds N``: so many).

A seed that fails prints the end of its story and the command that runs it again;
``python -m tests.sim SEED --keep NAME`` makes it a regression.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim import regressions
from tests.sim.generate import make_plan
from tests.sim.run import Report, simulate

SEEDS, BLOCK = 500, 25
STORY_LINES = 120


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "first" in metafunc.fixturenames:
        seeds = metafunc.config.getoption("--sim-seeds", SEEDS) or SEEDS
        metafunc.parametrize("first", range(0, seeds // 2, BLOCK))


def explain(report: Report, again: str) -> str:
    story = "\n".join(report.story.splitlines()[-STORY_LINES:])
    return f"{story}\n{report.problem}\nrun it again: {again}"


@pytest.mark.parametrize("faults", [False, True], ids=["without faults", "with faults"])
def test_every_promise_is_kept(first: int, faults: bool) -> None:
    for seed in range(first, first + BLOCK):
        report = simulate(make_plan(seed, faults=faults))
        assert not report.problem, explain(report, f"python -m tests.sim {seed}{' --faults' if faults else ''}")


@pytest.mark.parametrize("path", regressions.kept(), ids=lambda path: path.stem)
def test_what_was_wrong_once_is_right(path: Path) -> None:
    report = simulate(regressions.load(path))
    assert not report.problem, explain(report, f"python -m tests.sim {path}")


def test_a_seed_gives_the_same_run_whatever_the_order_of_sets() -> None:
    """Sets of strings and bytes have another order in each process: none may decide what happens next."""
    program = (
        "from tests.sim.generate import make_plan\n"
        "from tests.sim.run import simulate\n"
        "print([simulate(make_plan(seed, faults=True), digest=True).summary for seed in range(8)])\n"
    )
    root = Path(__file__).parents[2]
    summaries = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(summaries) == 1, summaries
