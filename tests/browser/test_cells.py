"""What tasks print and where the stop button reaches, in JupyterLab and in Notebook 7, as a person sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage

FRONT_ENDS = ("lab", "notebook")
CELLS = 20
UNLUCKY = 7
SETTLED_S_MAX = 3.0
"""Promised is 1 s; this holds on a machine that does other things, too."""

START = "%load_ext raynb\nimport os, time\nimport raynb as ray\nray.init(num_cpus=2);"
FUNCTIONS = """
%config RaynbMagics.progress = False
@ray.remote
def say(number):
    for line in range(3): print(f'cell {number} line {line}')
    os.system(f'echo cell {number} shell')

@ray.remote
def hold(text, path):
    print(text, 'begins')
    while not os.path.exists(path): time.sleep(0.01)
    print(text, 'ends')
    return text

@ray.remote
def nap():
    time.sleep(600)
"""
FIRST = 2
"""Number of the first cell after these two."""

Open = Callable[..., NotebookPage]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    yield page
    page.close()


@pytest.fixture(params=FRONT_ENDS)
def opened(page: Page, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a notebook; its last cell, which is added, ends the cluster."""
    made: list[NotebookPage] = []

    def open_notebook(*cells: str) -> NotebookPage:
        name = re.sub(r"\W+", "_", request.node.name)
        notebook = NotebookPage(page, lab, name, [START, FUNCTIONS, *cells, "ray.shutdown()"], request.param)
        made.append(notebook)
        return notebook

    yield open_notebook
    for notebook in made:
        notebook.end()


def says(notebook: NotebookPage, number: int) -> str:
    """All that stands below a cell; of a long notebook only what is near is drawn."""
    output = notebook.cells.nth(number)
    output.scroll_into_view_if_needed()
    return output.locator(".jp-OutputArea").first.inner_text()


def test_run_all_over_twenty_cells_puts_everything_where_it_belongs(
    opened: Open, request: pytest.FixtureRequest
) -> None:
    calls = [f"refs{n} = [say.remote({n}) for _ in range(2)]" for n in range(0, CELLS, 2)]
    tasks = [
        f"%%remote\nprint('cell {n} prints')\nvalue{n} = {n}"
        + (f"\nraise RuntimeError('cell {n} breaks')" if n == UNLUCKY else "")
        for n in range(1, CELLS, 2)
    ]
    woven = [cell for pair in zip(calls, tasks, strict=True) for cell in pair]
    everything = ", ".join([f"*refs{n}" for n in range(0, CELLS, 2)])
    values = ", ".join(f"value{n}" for n in range(1, CELLS, 2) if n != UNLUCKY)
    notebook = opened(*woven, f"ray.get([{everything}]); print(sum(ray.get([{values}])))")
    notebook.run_all()
    notebook.expect_done(FIRST + CELLS)
    total = sum(n for n in range(1, CELLS, 2) if n != UNLUCKY)
    expect(notebook.output(FIRST + CELLS)).to_have_text(str(total))
    for number in range(CELLS):
        output = notebook.cells.nth(FIRST + number)
        output.scroll_into_view_if_needed()
        expect(output).to_contain_text(f"cell {number} {'prints' if number % 2 else 'shell'}", timeout=PATIENCE_MS)
        assert set(re.findall(r"cell (\d+)", says(notebook, FIRST + number))) == {str(number)}
    expect(notebook.cells.nth(FIRST + UNLUCKY)).to_contain_text(f"RuntimeError: cell {UNLUCKY} breaks")
    notebook.shot(notebook.cells.nth(FIRST + UNLUCKY), f"run_all_{request.node.callspec.id}")


def test_two_cells_that_print_at_once_and_one_that_runs_again_show_each_their_own(opened: Open, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    notebook = opened(
        f"run = globals().get('run', 0) + 1\na = hold.remote(f'A of run {{run}}', {str(gate)!r})",
        f"b = hold.remote('B', {str(gate)!r})",
        "ray.get([a, b])",
    )
    for number in range(FIRST + 2):
        notebook.run(number)
    first, second = notebook.output(FIRST), notebook.output(FIRST + 1)
    expect(first).to_contain_text("A of run 1 begins")
    expect(second).to_contain_text("B begins")
    notebook.start(FIRST)  # while its first run prints still: both now wait at the gate, one in the queue
    gate.touch()
    notebook.start(FIRST + 2)
    expect(first).to_contain_text("A of run 2 ends", timeout=PATIENCE_MS)
    expect(second).to_contain_text("B ends")
    assert first.inner_text().splitlines() == ["A of run 2 begins", "A of run 2 ends"]
    assert second.inner_text().splitlines() == ["B begins", "B ends"]


def test_the_stop_button_cancels_the_tasks_of_its_cell_and_of_no_other(opened: Open, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    notebook = opened(
        f"other = hold.remote('other', {str(gate)!r})",
        "naps = [nap.remote() for _ in range(1000)]\n"
        "try: ray.get(naps)\nexcept KeyboardInterrupt: stopped = time.monotonic(); raise",
        "ready, _ = ray.wait(naps, num_returns=1000, timeout=20)\n"
        "print(len(ready), time.monotonic() - stopped, len(ray.wait([other], timeout=0)[0]))",
        "ends = set()\nfor ref in naps:\n    try: ray.get(ref)\n"
        "    except Exception as error: ends.add(type(error).__name__)\nprint(ends)",
        "print(ray.get(other), ray.get([hold.remote(n, '/') for n in range(4)]))",
    )
    for number in range(FIRST + 1):
        notebook.run(number)
    expect(notebook.output(FIRST)).to_contain_text("other begins")
    notebook.start(FIRST + 1)
    notebook.stop()
    notebook.expect_done(FIRST + 1)
    stopped = notebook.output(FIRST + 1)
    expect(stopped).to_contain_text("KeyboardInterrupt", timeout=PATIENCE_MS)
    assert "host.py" not in stopped.inner_text()
    settled, seconds, other = notebook.run(FIRST + 2).inner_text().split()
    assert (settled, other) == ("1000", "0")
    assert float(seconds) < SETTLED_S_MAX
    expect(notebook.run(FIRST + 3)).to_contain_text("TaskCancelledError")
    gate.touch()
    expect(notebook.run(FIRST + 4)).to_contain_text("other [0, 1, 2, 3]")
