"""``python -m tests.sim SEED [--faults]``: run one seed again and print what happened; more seeds with ``--count``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.generate import make_plan
from tests.sim.regressions import keep, load, shrink
from tests.sim.run import Report, simulate
from tests.sim.workload import Plan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("seed", nargs="?", default="0", help="the seed, or a file with a kept plan")
    parser.add_argument("--faults", action="store_true", help="with faults")
    parser.add_argument("--count", type=int, default=1, help="so many seeds from there on")
    parser.add_argument("--plan", action="store_true", help="print the plan")
    parser.add_argument("--lines", type=int, default=150, help="of the log")
    parser.add_argument("--shrink", action="store_true", help="cut the plan down as long as it fails")
    parser.add_argument("--keep", default="", metavar="NAME", help="keep the plan as a regression")
    options = parser.parse_args()
    if options.count > 1:
        return _many(int(options.seed), options.count, options.faults)
    plan = make_plan(int(options.seed), faults=options.faults) if options.seed.isdigit() else load(options.seed)
    if options.shrink:
        plan = shrink(plan, lambda plan: bool(simulate(plan).problem))
    if options.plan:
        print(plan)
    if options.keep:
        print(keep(plan, options.keep))
    report = simulate(plan)
    _tell(plan, report, options.lines)
    return int(bool(report.problem))


def _tell(plan: Plan, report: Report, lines: int) -> None:
    if report.problem:
        print("\n".join(report.story.splitlines()[-lines:]))
        print(f"seed {plan.seed}: {report.problem}")
    else:
        print(f"seed {plan.seed}: all promises kept; {report.steps} steps, {report.seconds:.3f} s, {report.counts}")


def _many(first: int, count: int, faults: bool) -> int:
    begin = time.perf_counter()
    failed = 0
    for seed in range(first, first + count):
        report = simulate(make_plan(seed, faults=faults))
        if report.problem:
            failed += 1
            print(f"seed {seed}: {report.problem}", flush=True)
    print(f"{failed} of {count} seeds failed; {time.perf_counter() - begin:.1f} s")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
