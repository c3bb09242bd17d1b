"""`raynb microbenchmark`, as a function: measure, show, write."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from raynb.runtime.benchmark import parts, report, runner, table

QUICK_BUDGET_S = 0.1
BUDGET_S = 0.5


def run(
    *,
    vs_ray: str | None = None,
    rounds: int = 5,
    only: str | None = None,
    json_file: Path | None = None,
    markdown_file: Path | None = None,
    quick: bool = False,
    growth: bool = False,
    long: bool = False,
    module: str | None = None,
    console: Console | None = None,
) -> list[runner.Results]:
    """Measure this machine, print the table and write it to the files that were asked for.

    Parameters
    ----------
    vs_ray
        A Python interpreter that can import Ray: it is measured beside raynb, round by round.
    rounds
        How often each row is measured; the median counts.
    only
        Rows with this in their key or title.
    json_file, markdown_file
        Where to write the results, for programs and for people.
    quick
        One short round.
    growth
        Also how the main rates change from 10^3 to 10^5 tasks, and with the number of CPUs.
    long
        Also what takes minutes: a million tasks, and 10^6 in the growth.
    module
        ``"ray"`` measures Ray alone, with the interpreter of `vs_ray` or this one.

    Returns
    -------
    One `runner.Results` for each system, raynb's first.

    Raises
    ------
    ValueError
        If no row matches `only`.
    """
    console = console or default_console()
    rows = table.matching(only, long=long)
    if not rows:
        raise ValueError(f"no row has {only!r} in its name")
    systems = systems_of(vs_ray, module)
    rounds = 1 if quick else rounds
    facts = report.machine()

    def tell(name: str, where: str, reading: runner.Reading) -> None:
        row = table.BY_KEY[reading.key]
        said = report.figure(reading.value, row.unit) if reading.error is None else reading.error
        title = row.title.replace("`", "")
        line = f"{name:>5}  {where}  {title}: {said}"
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

    results = runner.measure(systems, rows, rounds=rounds, budget_s=QUICK_BUDGET_S if quick else BUDGET_S, tell=tell)
    if growth:
        counts = [10**power for power in range(3, 7 if long else 6)]
        runner.measure_growth(systems, results, list(table.GROWING), counts=counts, cpus=cpu_counts(), tell=tell)
    show(rows, results, rounds, facts, console, json_file, markdown_file)
    return results


def default_console() -> Console:
    """The terminal, or 120 columns where the output goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def systems_of(vs_ray: str | None, module: str | None) -> list[runner.System]:
    if module is not None:
        return [runner.System(module, vs_ray or sys.executable)]
    ray = [runner.System("ray", vs_ray)] if vs_ray else []
    return [runner.System("raynb"), *ray]


def cpu_counts() -> list[int]:
    """Cluster sizes to compare: powers of two up to twice as many as there are cores."""
    return [1 << power for power in range(len(os.sched_getaffinity(0)).bit_length() + 1)]


def show(
    rows: Sequence[table.Row],
    results: Sequence[runner.Results],
    rounds: int,
    facts: Mapping[str, str],
    console: Console,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    rays = results[1] if len(results) > 1 else None
    found = report.lines(rows, results[0], rays)
    console.print(report.terminal_table(found, results[0], rays))
    for each in report.terminal_growth(results):
        console.print(each)
    for line in found:
        if line.error is not None:
            console.print(f"{line.row.title}: {line.error}", style="red", markup=False)
    console.print(report.score(found))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report.as_json(found, results, facts), indent=1) + "\n")
    if markdown_file is not None:
        parts.write(markdown_file, "", report.markdown(found, results, rounds, facts))
    for file in filter(None, (json_file, markdown_file)):
        console.print(f"Written to {file}")
