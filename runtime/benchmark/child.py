"""The program that measures one system, in a process of its own.

The runner starts it by path, with that system's interpreter::

    python child.py --module ray --cases put_small,chain

and reads from its stdout one JSON object a line: ``{"version": ...}`` first, then for each row
``{"case": ..., "value": ..., "seconds": ...}``, or ``{"case": ..., "error": ..., "seconds": ...}``.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ERROR_CHARACTERS_MAX = 500


def load_rows() -> Mapping[str, Any]:
    """Everything in `cases.py`, executed as part of ``__main__``.

    So both systems carry its functions by value, as they do with those of a script or a notebook.
    """
    return runpy.run_path(str(HERE / "cases.py"), run_name="__main__")


def measure(
    row: Callable[..., float], key: str, run: Any, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Any]:
    """The result of one row. One that fails says so, and the next one can run."""
    started = clock()
    try:
        result: dict[str, Any] = {"case": key, "value": row(run)}
    except Exception as error:
        result = {"case": key, "error": f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS_MAX]}
    gc.collect()
    return {**result, "seconds": round(clock() - started, 3)}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    options = argparse.ArgumentParser()
    options.add_argument("--module", choices=["raynb", "ray"], required=True)
    options.add_argument("--cases", required=True, help="keys, separated by commas")
    options.add_argument("--fresh", action="store_true", help="the rows start their own cluster")
    options.add_argument("--budget-s", type=float, default=0.5, help="for each timed part")
    options.add_argument("--count", type=int, help="number of tasks instead of a row's own")
    options.add_argument("--num-cpus", type=int, help="instead of all cores")
    return options.parse_args(words)


def main() -> None:
    asked = arguments()
    # The cluster's processes inherit stdout and may print there: results take a private copy.
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE.resolve()]

    ray = importlib.import_module(asked.module)
    results.write(json.dumps({"version": ray.__version__}) + "\n")
    rows = load_rows()
    cpus = asked.num_cpus or len(os.sched_getaffinity(0))
    run = rows["Run"](ray, cpus, asked.budget_s, asked.count)
    if not asked.fresh:
        rows["start"](ray, num_cpus=cpus)
    try:
        for key in asked.cases.split(","):
            results.write(json.dumps(measure(rows[key], key, run)) + "\n")
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
