"""What the report says of a row, and that it says nothing it has not measured."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from raynb.runtime.benchmark import command, report, table
from raynb.runtime.benchmark.report import figure
from raynb.runtime.benchmark.runner import Results

ROWS = [table.BY_KEY[key] for key in ("tasks", "import_time", "chain", "tree")]
FACTS = {"processor": "2 x fast"}


@pytest.fixture
def ours() -> Results:
    """A floor reached, one by half, one missed, one row not measured."""
    values = {"tasks": [59_000.0, 61_000.0, 70_000.0], "import_time": [0.2], "chain": [100.0]}
    return Results("raynb", "0.1", values, {"tree": "RuntimeError: no"})


@pytest.fixture
def rays() -> Results:
    return Results("ray", "2.60.0", {"tasks": [2_000.0], "import_time": [0.4]})


def test_a_row_reaches_its_floor_or_half_of_it_or_misses_it(ours: Results) -> None:
    found = report.lines(ROWS, ours, None)
    assert [line.verdict for line in found] == ["reached", "half reached", "missed", "not measured"]
    assert report.score(found) == ("1 of 3 floors reached, 1 by half, 1 missed; 1 not measured.")


def test_the_ratio_is_to_the_ray_that_was_measured(ours: Results, rays: Results) -> None:
    found = report.lines(ROWS, ours, rays)
    assert found[0].ratio == pytest.approx(30.5)
    assert found[1].ratio == pytest.approx(2)
    assert found[2].ratio is None, "Ray was measured, but not in this row"


def test_without_a_measured_ray_the_recorded_figure_stands_in_and_is_marked(ours: Results) -> None:
    found = report.lines(ROWS, ours, None)
    assert found[0].ray == table.BY_KEY["tasks"].ray
    assert not found[0].ray_measured
    assert "elsewhere" in report.markdown(found, [ours], 1, FACTS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(4_512.3, "4,510 /s"), (0.6249, "0.625 /s"), (123.9, "124 /s"), (2.04, "2.04 /s")],
)
def test_a_figure_has_three_digits_that_count(value: float, text: str) -> None:
    assert figure(value, "/s") == text


def test_no_figure_is_a_dash() -> None:
    assert figure(None, "/s") == "-"


def test_the_page_has_every_row_the_reasons_and_the_growth(ours: Results, rays: Results) -> None:
    ours.growth = {"tasks": {1_000: 50_000.0, 10_000: 61_000.0}}
    page = report.markdown(report.lines(ROWS, ours, rays), [ours, rays], 3, FACTS)
    assert "| 5,000 small tasks, then get all | 61,000 /s | 2,000 /s | 30.5 x | 60,000 /s |" in page
    assert "medians of 3 interleaved rounds" in page
    assert "- raynb, a reduction tree of 2,047 tasks: RuntimeError: no" in page
    assert "## raynb 0.1 by number of tasks" in page
    assert "| small tasks, then get all | 50,000 /s | 61,000 /s |" in page


def test_the_command_shows_the_table_and_writes_the_files(ours: Results, rays: Results, tmp_path: Path) -> None:
    shown = io.StringIO()
    files = tmp_path / "made" / "figures.json", tmp_path / "performance.md"
    command.show(ROWS, [ours, rays], 3, FACTS, Console(file=shown, width=140), *files)
    assert "half reached" in shown.getvalue()
    assert "a reduction tree of 2,047 tasks: RuntimeError: no" in shown.getvalue()
    rows = json.loads(files[0].read_text())["rows"]
    assert [row["verdict"] for row in rows][:2] == ["reached", "half reached"]
    assert files[1].read_text().startswith("# How fast raynb is\n")


def test_a_pattern_without_a_row_is_an_error() -> None:
    with pytest.raises(ValueError, match="no row has 'warp'"):
        command.run(only="warp")


def test_the_machine_says_what_the_figures_depend_on() -> None:
    facts = report.machine()
    assert set(facts) == {"processor", "memory", "disk", "system", "Python", "before", "day"}
    assert "memcpy" in facts["memory"]
