"""The results as tables: on the terminal, as markdown, as JSON."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from raynb.runtime.benchmark.runner import Results
from raynb.runtime.benchmark.table import BY_KEY, GROWING, Row

STYLES = {"reached": "green", "half reached": "yellow", "missed": "red"}


@dataclass(frozen=True)
class Line:
    """A row with what was measured; `ray_measured` is false where the table's figure stands in."""

    row: Row
    value: float | None
    ray: float | None
    ray_measured: bool
    error: str | None

    @property
    def ratio(self) -> float | None:
        """How many times better than Ray."""
        if self.value is None or self.ray is None:
            return None
        return self.row.times_better(self.value, self.ray)

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.row.at_least is None:
            return "reported"
        share = self.row.times_better(self.value, self.row.at_least)
        return "reached" if share >= 1 else "half reached" if share >= 0.5 else "missed"


def lines(rows: Iterable[Row], ours: Results, rays: Results | None) -> list[Line]:
    return [
        Line(
            row,
            value=ours.median(row.key),
            ray=rays.median(row.key) if rays else row.ray,
            ray_measured=rays is not None,
            error=ours.errors.get(row.key),
        )
        for row in rows
    ]


def figure(value: float | None, unit: str = "") -> str:
    """Three digits that count, and the unit: ``4,510 /s``, ``0.62 GB/s``."""
    if value is None:
        return "-"
    if abs(value) >= 1_000:
        text = f"{float(f'{value:.3g}'):,.0f}"
    elif abs(value) >= 100:
        text = f"{value:.0f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{figure(ratio)} x"


def titles(ours: Results, rays: Results | None) -> list[str]:
    """The headers of a table's columns after the first."""
    ray = f"Ray {rays.version}" if rays and rays.version else "Ray 2.60 (elsewhere)"
    return [f"{ours.module} {ours.version}", ray, "times", "at least"]


def terminal_table(found: Sequence[Line], ours: Results, rays: Results | None) -> Table:
    table = Table(title="How fast raynb is on this machine", title_justify="left")
    table.add_column("case", overflow="fold")
    for title in titles(ours, rays):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in found:
        unit = line.row.unit
        table.add_row(
            line.row.title.replace("`", ""),
            figure(line.value, unit),
            figure(line.ray, unit),
            times(line.ratio),
            figure(line.row.at_least, unit),
            f"[{STYLES.get(line.verdict, 'dim')}]{line.verdict}[/]",
        )
    return table


def score(found: Sequence[Line]) -> str:
    """How many rows reached their floor, in one sentence."""
    held = [line for line in found if line.row.at_least is not None]
    counts = {name: sum(line.verdict == name for line in held) for name in STYLES}
    measured = sum(line.value is not None for line in held)
    return (
        f"{counts['reached']} of {measured} floors reached, {counts['half reached']} by half, "
        f"{counts['missed']} missed; {len(held) - measured} not measured."
    )


def growth_rows(curves: Mapping[str, Mapping[int, float]]) -> Iterator[tuple[str, list[str]]]:
    """For each row of a set of curves its title and its figures; the header comes first."""
    points = sorted({point for curve in curves.values() for point in curve})
    yield "", [f"{point:,}" for point in points]
    for key, curve in curves.items():
        yield GROWING[key], [figure(curve.get(point), "/s") for point in points]


def growth_tables(results: Sequence[Results]) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    for result in results:
        for curves, of in ((result.growth, "tasks"), (result.workers, "CPUs")):
            if curves:
                title = f"{result.module} {result.version} by number of {of}"
                yield title, list(growth_rows(curves))


def terminal_growth(results: Sequence[Results]) -> Iterator[Table]:
    for title, rows in growth_tables(results):
        table = Table(title=title, title_justify="left")
        table.add_column("case", overflow="fold")
        for point in rows[0][1]:
            table.add_column(point, justify="right")
        for name, figures in rows[1:]:
            table.add_row(name.replace("`", ""), *figures)
        yield table


def machine() -> dict[str, str]:
    """What the figures depend on: the processor, the memory, the versions, the day, and what else runs here now."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": f"{len(os.sched_getaffinity(0))} x {model or platform.machine()}",
        "memory": f"{memory:.0f} GB, memcpy {memcpy_gb_s():.1f} GB/s",
        "disk": f"{disk_gb_s():.1f} GB/s, until what is written is there",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, numpy {np.__version__}",
        "before": f"{os.getloadavg()[0]:.1f} other processes ready to run, the minute before",
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def memcpy_gb_s() -> float:
    """What copying 100 MB takes where every page is warm: nothing that copies can be faster."""
    source = np.ones(100_000_000, np.uint8)
    target = np.ones_like(source)
    taken_s = []
    for _ in range(5):
        started = time.perf_counter()
        np.copyto(target, source)
        taken_s.append(time.perf_counter() - started)
    return 0.1 / min(taken_s)


def disk_gb_s() -> float:
    """What writing 200 MB to a file takes where sessions lie, until the disk has them."""
    data = np.ones(200_000_000, np.uint8).data
    with tempfile.TemporaryFile() as file:
        started = time.perf_counter()
        file.write(data)
        os.fsync(file.fileno())
        return 0.2 / (time.perf_counter() - started)


def table_markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    ruler = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))


def markdown(found: Sequence[Line], results: Sequence[Results], rounds: int, facts: Mapping[str, str]) -> str:
    """The page `docs/performance.md`: as printed by the command, and by nobody else."""
    ours, rays = results[0], results[1] if len(results) > 1 else None
    header = ["case", *titles(ours, rays), ""]
    body = [
        [
            line.row.title,
            figure(line.value, line.row.unit),
            figure(line.ray, line.row.unit),
            times(line.ratio),
            figure(line.row.at_least, line.row.unit),
            line.verdict,
        ]
        for line in found
    ]
    command = "raynb microbenchmark --vs-ray PYTHON --markdown docs/performance.md"
    parts = [
        "# How fast raynb is",
        f"Printed by `{command}`: medians of {rounds} "
        f"{'round' if rounds == 1 else 'interleaved rounds'}, each system in processes of its own. "
        "`at least` is the figure that raynb is held to (for times and sizes: at most).",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        table_markdown(header, body),
        score(found),
    ]
    for title, rows in growth_tables(results):
        parts += [
            f"## {title}",
            table_markdown(["case", *rows[0][1]], [[n, *f] for n, f in rows[1:]]),
        ]
    parts += errors_markdown(results)
    return "\n\n".join(parts) + "\n"


def errors_markdown(results: Sequence[Results]) -> list[str]:
    said = [
        f"- {result.module}, {BY_KEY[key].title}: {error}"
        for result in results
        for key, error in result.errors.items()
        if result.median(key) is None
    ]
    return ["## Not measured", "\n".join(said)] if said else []


def as_json(found: Sequence[Line], results: Sequence[Results], facts: Mapping[str, str]) -> Any:
    """Everything, for programs: each round's value, and the medians with their verdicts."""
    return {
        "machine": dict(facts),
        "rows": [{**asdict(line), "ratio": line.ratio, "verdict": line.verdict} for line in found],
        "results": [asdict(result) for result in results],
    }
