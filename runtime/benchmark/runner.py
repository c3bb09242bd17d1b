"""Runs the rows: each system in processes of its own, the rounds of both interleaved.

What a machine does beside the measurement changes from minute to minute. So a round of one system
is followed by a round of the other, and a row's figure is the median of its rounds.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from raynb.runtime.benchmark.table import Row

CHILD = Path(__file__).with_name("child.py")
ROW_S_MAX = 180.0
GROWTH_ROW_S_MAX = 1_200.0
STOP_S_MAX = 10.0


@dataclass(frozen=True)
class System:
    """What is measured: the module's name, and the interpreter that can import it."""

    module: str
    python: str = sys.executable

    def environment(self) -> dict[str, str]:
        env = dict(os.environ, RAY_USAGE_STATS_ENABLED="0")
        if self.python != sys.executable:  # this interpreter's settings are not for another one
            env = {name: value for name, value in env.items() if not name.startswith("PYTHON")}
        return env


@dataclass(frozen=True)
class Reading:
    """One row as one process measured it: a value, or the reason why there is none."""

    key: str
    value: float | None
    error: str | None
    seconds: float


@dataclass
class Results:
    """What the rounds of one system gave, by the key of the row.

    `growth` has rates by number of tasks, `workers` by number of CPUs.
    """

    module: str
    version: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    growth: dict[str, dict[int, float]] = field(default_factory=dict)
    workers: dict[str, dict[int, float]] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        if reading.value is not None:
            self.values.setdefault(reading.key, []).append(reading.value)
        else:
            self.errors[reading.key] = reading.error or "no value"

    def median(self, key: str) -> float | None:
        values = self.values.get(key)
        return statistics.median(values) if values else None


Tell = Callable[[str, str, Reading], None]  # the module, where it stands, what it gave


def measure(
    systems: Sequence[System],
    rows: Sequence[Row],
    *,
    rounds: int,
    budget_s: float = 0.5,
    tell: Tell = lambda *_: None,
) -> list[Results]:
    """Measure the rows on each system in turn, `rounds` times.

    Parameters
    ----------
    budget_s
        How long the repetitions of each timed part may take.
    tell
        Is called with each reading as soon as it is there.
    """
    results = [Results(system.module) for system in systems]
    for number in range(1, rounds + 1):
        for system, result in zip(systems, results, strict=True):
            for batch in batches(rows):
                options = ["--budget-s", str(budget_s), *(["--fresh"] if batch[0].fresh else [])]
                keys = [row.key for row in batch]
                for reading in readings(system, keys, options, result):
                    result.add(reading)
                    tell(system.module, f"round {number}", reading)
    return results


def batches(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows by process: those that start their own cluster alone, all others together."""
    together = [row for row in rows if not row.fresh]
    return [*([row] for row in rows if row.fresh), *([together] if together else [])]


def measure_growth(
    systems: Sequence[System],
    results: Sequence[Results],
    keys: Sequence[str],
    *,
    counts: Sequence[int],
    cpus: Sequence[int],
    tell: Tell = lambda *_: None,
) -> None:
    """Add to the results how the rates of some rows change with the number of tasks and CPUs."""
    for system, result in zip(systems, results, strict=True):
        for curves, option, points in (
            (result.growth, "--count", counts),
            (result.workers, "--num-cpus", cpus),
        ):
            for point in points:
                found = readings(system, keys, [option, str(point)], result, GROWTH_ROW_S_MAX)
                for reading in found:
                    tell(system.module, f"{option[2:]} {point:,}", reading)
                    if reading.value is not None:
                        curves.setdefault(reading.key, {})[point] = reading.value


def readings(
    system: System,
    keys: Sequence[str],
    options: Sequence[str],
    result: Results,
    row_s_max: float = ROW_S_MAX,
) -> Iterator[Reading]:
    """Start one process for these rows and yield what it says, one reading for each key.

    A process that ends early or is silent for longer than `row_s_max` is stopped, and gives the
    reason as the error of the rows that it leaves over.
    """
    words = ["--module", system.module, "--cases", ",".join(keys), *options]
    left = list(keys)
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            [system.python, str(CHILD), *words],
            stdout=subprocess.PIPE,
            stderr=log,
            env=system.environment(),
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            for line in lines(process.stdout, row_s_max):
                said = json.loads(line)
                if "version" in said:
                    result.version = said["version"]
                    continue
                left.remove(said["case"])
                yield Reading(said["case"], said.get("value"), said.get("error"), said["seconds"])
            reason = ending(process, log)
        except TimeoutError:
            reason = f"nothing for {row_s_max:.0f} s"
        finally:
            stop(process)
            process.stdout.close()
        for key in left:
            yield Reading(key, None, reason, 0.0)


def lines(stream: IO[bytes], silence_s_max: float) -> Iterator[bytes]:
    """The lines of a pipe, each as soon as it is there; `TimeoutError` when none comes."""
    os.set_blocking(stream.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        rest = b""
        deadline = time.monotonic() + silence_s_max
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(stream.fileno(), 65_536)
            if not chunk:
                return
            *complete, rest = (rest + chunk).split(b"\n")
            if complete:
                deadline = time.monotonic() + silence_s_max
            yield from complete


def ending(process: subprocess.Popen[bytes], log: IO[str]) -> str:
    """How a process ended that closed its results: its last words, if it had any."""
    try:
        code: int | None = process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        code = None
    log.seek(0)
    said = [line.strip() for line in log.readlines() if line.strip()]
    return f"ended with {code}" + (f": {said[-1][:300]}" if said else "")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process: first as Ctrl-C does, so that it can stop its cluster."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            continue
