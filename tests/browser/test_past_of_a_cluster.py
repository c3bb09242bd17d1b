"""The past of a real run, in every panel: what waited and was written to disk, what was there and was said when."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SHOTS, Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage

CELLS = [
    """
%load_ext raynb
import numpy as np, time
import raynb as ray
ray.init(num_cpus=2, object_store_memory=64 * 2**20)

@ray.remote
def block(i):
    print('block', i)
    return np.full(1_000_000, i)

@ray.remote(max_retries=0)
def fails(x):
    raise ValueError(f'no labels in {x}')
""",
    "blocks = [block.remote(i) for i in range(14)]\nray.wait(blocks, num_returns=14, fetch_local=False);",
    "time.sleep(2.5)\ndel blocks",
    "ray.wait([fails.remote(i) for i in range(3)], num_returns=3)\ntime.sleep(1.5); late = ray.put(np.ones(200_000));",
    "ray.shutdown()",
]


def opened(page: Page, name: str) -> Locator:
    page.evaluate("name => void jupyterapp.commands.execute(`raynb:open-${name}`)", name)
    panel = page.locator(f"#raynb-{name}")
    expect(panel).to_be_visible()
    return panel


def test_every_panel_moves_back_to_a_moment_of_a_real_run(page: Page, lab: Lab) -> None:
    notebook = NotebookPage(page, lab, "past", CELLS)
    for number in range(4):
        notebook.run(number)

    timeline = opened(page, "timeline")
    expect(timeline.get_by_role("button", name="block", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    lanes = "[...document.querySelector('#raynb-timeline').raynbView.model.lanes].map(lane => lane.label)"
    page.wait_for_function(f"{lanes}.includes('writes to disk')", timeout=PATIENCE_MS)
    page.screenshot(path=SHOTS / "real_stores.png")
    (start, end) = page.evaluate(
        """() => {
            const { model } = document.querySelector('#raynb-timeline').raynbView;
            const tasks = [...model.spans.start.keys()].filter(i => model.nameOf(i) === 'block');
            return [Math.min(...tasks.map(i => model.spans.start[i])), Math.max(...tasks.map(i => model.endOf(i)))];
        }"""
    )

    # What there was, before the blocks were let go of.
    page.evaluate("at => document.querySelector('#raynb-timeline').raynbView.events.moment(at)", end + 500)
    expect(timeline.locator(".raynb-Chip")).to_contain_text("all panels as of")
    objects = opened(page, "objects")
    rows = objects.locator(".raynb-Table-stage tbody tr")
    expect(objects.locator(".raynb-Tally")).to_contain_text("14 of 14", timeout=PATIENCE_MS)
    expect(rows.first).to_contain_text("ndarray")
    expect(rows.filter(has_text="blocks[")).to_have_count(14)
    page.screenshot(path=SHOTS / "real_objects_then.png")
    graph = opened(page, "task-graph")
    expect(graph.locator("[role=option]").filter(has_text="block")).to_have_count(1)
    expect(graph.locator("[role=option]").filter(has_text="fails")).to_have_count(0)
    graph.get_by_role("button", name="Back to now").click()
    expect(graph.locator("[role=option]").filter(has_text="fails")).to_have_count(1, timeout=PATIENCE_MS)

    # A stretch, in which the blocks were made: they are gone now, and known still.
    page.evaluate(
        "([start, end]) => document.querySelector('#raynb-timeline').raynbView.setBrush({ start, end })",
        [start - 50, end + 50],
    )
    objects = opened(page, "objects")
    expect(rows.filter(has_text="freed")).to_have_count(14, timeout=PATIENCE_MS)
    logs = opened(page, "logs")
    expect(logs.locator(".raynb-Logs-line").filter(has_text=re.compile("^worker.*block"))).to_have_count(
        14, timeout=PATIENCE_MS
    )
    page.screenshot(path=SHOTS / "real_logs_brushed.png")
    logs.get_by_role("button", name="All", exact=True).click()

    # A cell's failures.
    graph = opened(page, "task-graph")
    graph.get_by_role("combobox").first.select_option("cell")
    option = graph.locator("[role=option]").filter(has_text="In[4]")
    expect(option).to_have_count(1, timeout=PATIENCE_MS)
    page.evaluate(
        """() => {
            const view = document.querySelector('#raynb-task-graph').raynbView;
            view.select([...view.model.nodes.values()].find(node => node.label === 'In[4]').id, true);
        }"""
    )
    failures = graph.get_by_role("list", name="Failed tasks")
    expect(failures).to_contain_text("ValueError: no labels in", timeout=PATIENCE_MS)
    page.screenshot(path=SHOTS / "real_cell_failures.png")
    notebook.run(4)
