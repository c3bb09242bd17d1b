"""Five hundred simulated clusters keep what is promised, without faults and with them.

A seed that fails prints its story and the command that runs it again.
"""

from __future__ import annotations

import pytest

from tests.sim.generate import make_plan
from tests.sim.run import simulate

SEEDS, BLOCK = 250, 25


@pytest.mark.parametrize("faults", [False, True], ids=["without faults", "with faults"])
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_every_promise_is_kept(first: int, faults: bool) -> None:
    for seed in range(first, first + BLOCK):
        report = simulate(make_plan(seed, faults=faults))
        again = f"python -m tests.sim {seed}{' --faults' if faults else ''}"
        assert not report.problem, f"{report.problem}\n{report.story}\nrun it again: {again}"


def test_a_seed_gives_the_same_run_again() -> None:
    first, second = (simulate(make_plan(7, faults=True)) for _ in range(2))
    assert (first.steps, first.counts, first.story) == (second.steps, second.counts, second.story)
