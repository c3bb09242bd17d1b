"""The task graph and the badges of cells on a real cluster, which a notebook has started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import SHOTS, Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage
from tests.browser.test_marks import badge
from tests.browser.test_task_graph import click_node, nodes

FUNCTIONS = """
%load_ext raynb
import os, time
import raynb as ray
ray.init(num_cpus=2, name='live')

@ray.remote
def held(number, gate):
    while not os.path.exists(gate): time.sleep(0.01)
    return number

@ray.remote(max_retries=0)
def checked(number, wrong):
    if number == 1 and os.path.exists(wrong):
        raise ValueError('row 1 has <b>no</b> label')
    return number

@ray.remote
def total(*numbers):
    return sum(numbers)
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    yield page
    page.close()


def function(panel: Locator, name: str) -> Locator:
    return nodes(panel).filter(has_text=f"{name}, function")


def click(panel: Locator, option: Locator) -> None:
    identity = option.get_attribute("data-node")
    assert identity
    click_node(panel, identity)


def test_what_runs_is_seen_explained_cancelled_and_tried_again(page: Page, lab: Lab, tmp_path: Path) -> None:
    gate, wrong = tmp_path / "gate", tmp_path / "wrong"
    wrong.touch()
    submit = (
        f"held_refs = [held.remote(n, {str(gate)!r}) for n in range(6)]\n"
        f"refs = [checked.remote(ref, {str(wrong)!r}) for ref in held_refs]\nsum_ref = total.remote(*refs)"
    )
    notebook = NotebookPage(page, lab, "live", [FUNCTIONS, submit, "ray.get(refs[1])", "ray.shutdown()"])
    notebook.run(0)
    notebook.run(1)
    expect(badge(notebook, 1)).to_have_text("0 of 13", timeout=PATIENCE_MS)
    page.evaluate("jupyterapp.shell.collapseLeft()")
    badge(notebook, 1).click()
    graph = page.locator("#raynb-task-graph")
    details = graph.get_by_role("complementary", name="The selected node")
    expect(details.get_by_role("heading", name="In[2]")).to_be_visible()
    graph.get_by_label("Group tasks by").select_option("by function")
    expect(function(graph, "held")).to_contain_text("2 run", timeout=PATIENCE_MS)
    expect(function(graph, "checked")).to_contain_text("6 wait for their inputs")
    expect(function(graph, "total")).to_contain_text("1 waits for its inputs")
    page.screenshot(path=SHOTS / "live_running.png")

    # A single one: why it waits; and it is cancelled.
    click(graph, function(graph, "held"))
    details.get_by_role("button", name="Single tasks").click()
    waiting = nodes(graph).filter(has_text="held, task: 1 waits for a worker").first
    click(graph, waiting)
    expect(details).to_contain_text("CPU")
    details.get_by_role("button", name="Cancel…").click()
    details.get_by_role("button", name="Cancel it").click()
    expect(details).to_contain_text("TaskCancelledError", timeout=PATIENCE_MS)

    # One fails; its traceback is here; tried again it does not.
    graph.get_by_role("button", name="All tasks").click()
    gate.touch()
    expect(function(graph, "held")).to_contain_text("5 finished, 1 failed", timeout=PATIENCE_MS)
    expect(function(graph, "checked")).to_contain_text("4 finished, 2 failed", timeout=PATIENCE_MS)
    click(graph, function(graph, "checked"))
    details.get_by_role("button", name="row 1 has <b>no</b> label").click()
    failed = nodes(graph).filter(has_text="checked, task: 1 failed").first
    expect(failed).to_be_attached()
    click(graph, failed)
    expect(details.get_by_label("Error")).to_contain_text("ValueError: row 1 has <b>no</b> label")
    page.screenshot(path=SHOTS / "live_failed.png")
    wrong.unlink()
    details.get_by_role("button", name="Retry").click()
    expect(details.get_by_text("Submitted again.")).to_be_visible(timeout=PATIENCE_MS)
    expect(details).to_contain_text("1finished", timeout=PATIENCE_MS)
    expect(notebook.run(2)).to_contain_text("1")

    # From the node to the cell.
    details.get_by_role("button", name="Go to cell").click()
    page.wait_for_function("document.querySelector('.jp-Notebook .jp-mod-active').textContent.includes('held_refs')")
    notebook.end()
    expect(graph).to_contain_text("No cluster is running.", timeout=PATIENCE_MS)
    expect(page.locator(".raynb-CellMark")).to_have_count(0)
