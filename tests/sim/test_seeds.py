"""Simulated clusters keep what is promised where nothing goes wrong: a thousand seeds, and what was wrong once.

Another thousand, with faults, is in `test_seeds_with_faults`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim import regressions
from tests.sim.run import simulate
from tests.sim.seeds import check_block, explain


def test_every_promise_is_kept(first: int) -> None:
    check_block(first, faults=False)


@pytest.mark.parametrize("path", regressions.kept(), ids=lambda path: path.stem)
def test_what_was_wrong_once_is_right(path: Path) -> None:
    report = simulate(regressions.load(path))
    assert not report.problem, explain(report, f"python -m tests.sim {path}")


def test_a_seed_gives_the_same_run_whatever_the_order_of_sets() -> None:
    """Sets of strings and bytes have another order in each process: none may decide what happens next."""
    program = (
        "from tests.sim.generate import make_plan\n"
        "from tests.sim.run import simulate\n"
        "print([simulate(make_plan(seed, faults=True), digest=True).summary for seed in range(20)])\n"
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
