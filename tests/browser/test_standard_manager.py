"""Widgets as VS Code and Colab show them: by ipywidgets' standard HTML manager, which loads anywidget's own module,
on a page that is no JupyterLab and has no theme of it; with a real kernel and cluster."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.architecture.source import ROOT
from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS, Lab
from tests.browser.notebook import PATIENCE_MS

ANYWIDGET = ROOT / "labextension" / "node_modules" / "anywidget" / "dist" / "index.js"
OPEN = """async ([base, token, module]) => {
    const url = URL.createObjectURL(new Blob([module], { type: 'text/javascript' }));
    window.cells = await open_cells(base, token, url);
}"""
SET_UP = """
%load_ext raynb
import os, time
import numpy as np
import raynb as ray
ray.init(num_cpus=2, name='standard');

@ray.remote
def square(x): return x * x

@ray.remote
def held(gate):
    while not os.path.exists(gate): time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def built() -> Path:
    """The folder with the page's program."""
    subprocess.run([sys.executable, ROOT / "labextension" / "npm.py", "run", "-s", "build:standard"], check=True)
    return ROOT / "build" / "standard"


class Cells:
    """The cells of a page without a notebook."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._count = 0

    def start(self, code: str) -> Locator:
        """Have code run; where its output comes."""
        self.page.evaluate("code => void cells.run(code)", code)
        self._count += 1
        return self.page.locator("body > section").nth(self._count - 1)

    def run(self, code: str) -> Locator:
        output = self.start(code)
        expect(output).to_have_attribute("data-status", "ok", timeout=PATIENCE_MS)
        return output


@pytest.fixture
def cells(browser: Browser, lab: Lab, built: Path) -> Iterator[Cells]:
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto(f"{lab.url}login")  # any page of the server's origin
    page.set_content("<!doctype html><html lang=en><title>standard</title><body></body></html>")
    page.add_script_tag(path=built / "standardPage.js")
    page.evaluate(OPEN, [lab.url, lab.token, ANYWIDGET.read_text()])
    cells = Cells(page)
    cells.run(SET_UP)
    yield cells
    cells.run("ray.shutdown()")
    page.close()


@pytest.fixture
def gate(cells: Cells, tmp_path: Path) -> Iterator[Path]:
    """A file that `held` waits for."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def test_a_cluster_and_a_progress_live_and_stay_as_pages(cells: Cells, gate: Path) -> None:
    cluster = cells.run("ray.widgets.Cluster()")
    expect(cluster.get_by_role("meter", name="CPU slots")).to_have_attribute("aria-valuetext", re.compile("of 2"))
    progress = cells.start(f"ray.get([square.remote(n) for n in range(20)] + [held.remote({str(gate)!r})])")
    bar = progress.get_by_role("progressbar", name="held")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("0 of 1, 1 running"), timeout=PATIENCE_MS)
    expect(cluster.get_by_role("meter", name="CPU slots")).to_have_attribute("aria-valuetext", re.compile("1 of 2"))
    assert barriers(cluster) == []
    assert barriers(progress) == []
    cells.page.screenshot(path=SHOTS / "standard_live.png")
    gate.touch()
    expect(progress.locator(".raynb-head")).to_contain_text("Done", timeout=PATIENCE_MS)
    expect(progress.locator(".jupyter-widgets")).to_have_count(0)  # what stays is HTML
    expect(progress).to_contain_text("20 of 20")


def test_the_panels_live_while_the_kernel_is_busy_and_stay_as_pictures(cells: Cells, gate: Path) -> None:
    graph = cells.run("ray.get([square.remote(n) for n in range(9)])\nray.widgets.TaskGraph()")
    nodes = graph.get_by_role("listbox", name="Task graph").get_by_role("option")
    expect(nodes.filter(has_text=re.compile("^square"))).to_contain_text("9 finished", timeout=PATIENCE_MS)
    timeline = cells.run("ray.widgets.Timeline()")
    expect(timeline.get_by_role("button", name="square", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    look = cells.run("grid = ray.put(np.arange(60_000.0).reshape(200, 300))\nray.widgets.inspect(grid)")
    preview = look.get_by_role("region", name="Preview")
    expect(preview.get_by_role("img", name=re.compile("Histogram of 60,000 values"))).to_be_visible(timeout=PATIENCE_MS)
    objects = cells.run("ray.widgets.Objects()")
    expect(objects.locator("tbody tr").filter(has_text="480.3 kB")).to_be_visible(timeout=PATIENCE_MS)
    cells.start(f"ray.get(held.remote({str(gate)!r}))")
    expect(nodes.filter(has_text=re.compile("^held"))).to_contain_text("1 runs", timeout=PATIENCE_MS)
    for name, output in (("graph", graph), ("timeline", timeline), ("look", look), ("objects", objects)):
        assert barriers(output) == [], name
        output.screenshot(path=SHOTS / f"standard_{name}.png")
    gate.touch()
    cells.run("ray.shutdown()")
    for output in (graph, timeline):
        expect(output.locator("svg[role=img]")).to_be_visible(timeout=PATIENCE_MS)
    expect(cells.page.locator(".raynb-Screen")).to_have_count(0)
    expect(objects.locator("table")).to_contain_text("480.3 kB")
