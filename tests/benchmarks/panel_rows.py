"""What the panels are held to, and the table of what was measured: on the terminal, and as a part of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from rich.table import Table

from raynb.runtime.benchmark.report import STYLES, figure, table_markdown

PART = "panels"


@dataclass(frozen=True)
class Row:
    """One figure. `floor` is what it has to reach (not to exceed, where `lower_is_better`); None: it is only told."""

    key: str
    title: str
    unit: str
    floor: float | None = None
    lower_is_better: bool = False


# fmt: off
ROWS = (
    Row("paint", "task graph of {tasks} tasks: from the command to its picture", "s", 1.0, lower_is_better=True),
    Row("paint_running", "the same while they run", "s", 1.0, lower_is_better=True),
    Row("pan", "it is panned", "frames/s", 30),
    Row("zoom", "it is zoomed", "frames/s", 30),
    Row("pan_tasks", "it is panned: single tasks and what flows between them", "frames/s", 30),
    Row("pan_running", "it is panned while they run", "frames/s", 30),
    Row("zoom_running", "it is zoomed while they run", "frames/s", 30),
    Row("miscounted", "functions whose tasks were not counted exactly", "", 0, lower_is_better=True),
    Row("rate_without", "tasks, no panel open", "/s"),
    Row("rate_with", "tasks, the task graph open", "/s"),
    Row("share", "of the throughput without a panel: with the task graph open", "%", 95),
    Row("paint_timeline", "timeline of {tasks} tasks: from the command to its picture", "s", 1.0, lower_is_better=True),
    Row("pan_timeline", "it is panned", "frames/s", 30),
    Row("zoom_timeline", "it is zoomed", "frames/s", 30),
    Row("preview", "an array of {array}: from the click to its preview", "ms", 300, lower_is_better=True),
    Row("preview_bytes", "read of it for that", "MB", 10, lower_is_better=True),
)
# fmt: on


@dataclass
class Readings:
    """What was measured, by the rows' keys; each round adds a value, and the median counts."""

    tasks: int
    array_bytes: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, key: str, value: float) -> float:
        self.values.setdefault(key, []).append(value)
        return value

    def of(self, key: str) -> float | None:
        found = self.values.get(key)
        return median(found) if found else None

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        """Of each row that was measured: its title, its value, its floor, and whether that is reached."""
        for row in ROWS:
            value = self.of(row.key)
            if value is not None:
                title = row.title.format(tasks=f"{self.tasks:,}", array=f"{self.array_bytes / 1e9:.3g} GB")
                floor = "" if row.floor is None else figure(row.floor, row.unit)
                yield title, figure(value, row.unit), floor, verdict(row, value)

    @property
    def missed(self) -> int:
        return sum(line[3] == "missed" for line in self.lines())


def verdict(row: Row, value: float) -> str:
    if row.floor is None:
        return ""
    return "reached" if (value <= row.floor if row.lower_is_better else value >= row.floor) else "missed"


def terminal_table(readings: Readings) -> Table:
    table = Table(title="JupyterLab's panels on this machine", title_justify="left")
    table.add_column("case", overflow="fold")
    for title in ("measured", "at least", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for title, value, floor, said in readings.lines():
        table.add_row(title, value, floor, f"[{STYLES[said]}]{said}[/]" if said else "")
    return table


def markdown(readings: Readings, rounds: int, command: str, facts: Mapping[str, str]) -> str:
    """The part of `docs/performance.md`: as printed by the command, and by nobody else."""
    said = [
        "## JupyterLab's panels",
        f"Printed by `{command}`: a real JupyterLab and a real cluster of a notebook, in headless Chromium that draws "
        f"without a GPU on the same processors. Medians; the throughput with and without a panel is that of {rounds} "
        "pairs of runs, one after the other. `at least` is what is promised (for times and sizes: at most).",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        table_markdown(["case", "measured", "at least", ""], readings.lines()),
    ]
    return "\n\n".join(said) + "\n"
