"""Many seeds, in blocks: ``--sim-seeds N`` says how many in all, half of them with faults.

A seed that fails prints the end of its story and the command that runs it again;
``python -m tests.sim SEED --keep NAME`` makes it a regression.
"""

from __future__ import annotations

from tests.sim.generate import make_plan
from tests.sim.run import Report, simulate

SEEDS, BLOCK = 2000, 50
STORY_LINES = 120


def blocks(seeds: int) -> range:
    """The first seed of each block."""
    return range(0, (seeds or SEEDS) // 2, BLOCK)


def check_block(first: int, *, faults: bool) -> None:
    """Every promise is kept in the plans of these seeds."""
    for seed in range(first, first + BLOCK):
        report = simulate(make_plan(seed, faults=faults))
        assert not report.problem, explain(report, f"python -m tests.sim {seed}{' --faults' if faults else ''}")


def explain(report: Report, again: str) -> str:
    story = "\n".join(report.story.splitlines()[-STORY_LINES:])
    return f"{story}\n{report.problem}\nrun it again: {again}"
