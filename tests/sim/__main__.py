"""``python -m tests.sim SEED [--faults]``: run one seed again and print what happened."""

from __future__ import annotations

import argparse
import sys
import time

from tests.sim.generate import make_plan
from tests.sim.run import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="the seed to run (default: several)")
    parser.add_argument("--faults", action="store_true", help="with faults")
    parser.add_argument("--count", type=int, default=1, help="so many seeds from there on")
    parser.add_argument("--plan", action="store_true", help="print the plan")
    parser.add_argument("--lines", type=int, default=120, help="of the log")
    options = parser.parse_args()
    first = options.seed or 0
    failed = 0
    begin = time.perf_counter()
    for seed in range(first, first + options.count):
        plan = make_plan(seed, faults=options.faults)
        if options.plan:
            print(plan)
        report = simulate(plan)
        if report.problem:
            failed += 1
            if options.count == 1:
                print("\n".join(report.story.splitlines()[-options.lines :]))
            print(f"seed {seed}: {report.problem}")
        elif options.count == 1:
            print(f"seed {seed}: kept all promises; {report.steps} steps, {report.seconds:.3f} s, {report.counts}")
    if options.count > 1:
        print(f"{failed} of {options.count} seeds failed; {time.perf_counter() - begin:.1f} s")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
