"""What raynb adds to notebooks and to the status bar; what the cluster says is pretended."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS, Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage
from tests.browser.pretended_hub import PretendedHub
from tests.browser.pretended_page import LIGHT, set_theme
from tests.support.waiting import wait_until

Open = Callable[[str], NotebookPage]


@pytest.fixture
def hub() -> PretendedHub:
    return PretendedHub()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    yield page
    page.close()


@pytest.fixture
def opened(page: Page, lab: Lab, hub: PretendedHub, request: pytest.FixtureRequest) -> Open:
    """Opens a notebook whose first three cells have tasks on the pretended cluster."""

    def open_notebook(front_end: str) -> NotebookPage:
        hub.attach(page)
        notebook = NotebookPage(page, lab, request.node.name.split("[")[0], [f"x = {n}" for n in range(4)], front_end)
        hub.kernel = kernel_of(lab, notebook.path.name)

        def listens() -> bool:
            page.wait_for_timeout(20)  # lets the page's messages in; the deadline is wait_until's
            return any(view["view"] == "cells" for view in hub.subscribed.values())

        wait_until(listens, what="somebody asks for the cells")
        hub.tell()
        return notebook

    return open_notebook


def kernel_of(lab: Lab, notebook: str) -> str:
    def kernel() -> str:
        with urlopen(Request(f"{lab.url}api/sessions", headers={"Authorization": f"token {lab.token}"})) as answer:
            return next((each["kernel"]["id"] for each in json.load(answer) if each["path"] == notebook), "")

    return wait_until(kernel, timeout=PATIENCE_MS / 1000, what=f"{notebook} has a kernel")


def badge(notebook: NotebookPage, number: int) -> Locator:
    return notebook.cells.nth(number).locator(".raynb-CellMark").get_by_role("button").first


def test_a_cell_shows_how_far_its_tasks_are_and_leads_to_them_and_back(opened: Open, hub: PretendedHub) -> None:
    hub.progress = 0.1
    notebook = opened("lab")
    page = notebook.page
    expect(badge(notebook, 0)).to_contain_text("of 2,000")
    expect(notebook.cells.nth(3).locator(".raynb-CellMark")).to_have_count(0)
    hub.progress = 1.0
    hub.tell()
    expect(badge(notebook, 1)).to_have_text("24.0k tasks")
    expect(badge(notebook, 1)).to_have_accessible_name(
        "Tasks of this cell: 24,000 finished. Show them in the task graph"
    )
    for theme in ("JupyterLab Dark", LIGHT):
        set_theme(page, theme)
        assert barriers(notebook.cells.nth(0).locator(".raynb-CellMark")) == []
    badge(notebook, 1).click()
    graph = page.locator("#raynb-task-graph")
    expect(graph.locator("[role=option][aria-selected=true]")).to_have_attribute("data-node", "ftokenize")
    expect(graph.get_by_label("Group tasks by")).to_have_value("cell")
    page.screenshot(path=SHOTS / "cell_and_graph.png")
    graph.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.jp-Notebook .jp-mod-active').textContent.includes('x = 0')")


def test_what_has_not_ended_of_a_cell_is_cancelled_by_its_badge(opened: Open, hub: PretendedHub) -> None:
    hub.progress = 0.1
    notebook = opened("lab")
    page = notebook.page
    cancel = notebook.cells.nth(0).get_by_role("button", name="Cancel the tasks of this cell")
    cancel.click()
    page.get_by_role("dialog").get_by_role("button", name="Keep Them").click()
    assert not [each for each in hub.asked if each["type"] == "act"]
    cancel.click()
    hub.refuses_acts = "all of them have ended"
    page.get_by_role("dialog").get_by_role("button", name="Cancel Tasks").click()
    expect(page.get_by_role("dialog")).to_contain_text("all of them have ended")
    page.keyboard.press("Escape")
    assert [each["target"] for each in hub.asked if each["type"] == "act"] == [f"cell:{hub.kernel}:cell-0"]
    hub.progress = 1.0
    hub.tell()
    expect(cancel).to_be_hidden()


def test_the_marks_can_be_switched_off(opened: Open) -> None:
    notebook = opened("lab")
    page = notebook.page
    expect(badge(notebook, 0)).to_be_visible()
    try:
        save_settings(page, "{badges: false}")
        page.reload()
        expect(page.locator(".raynb-Status svg").nth(1)).to_be_visible(timeout=PATIENCE_MS)
        expect(notebook.cells).to_have_count(4)
        expect(page.locator(".raynb-CellMark")).to_have_count(0)
    finally:
        save_settings(page, "{}")


def save_settings(page: Page, settings: str) -> None:
    page.evaluate("text => jupyterapp.serviceManager.settings.save('raynb:plugin', text)", settings)


def test_the_status_bar_tells_of_the_cluster_and_opens_the_panels(opened: Open) -> None:
    page = opened("lab").page
    item = page.locator(".raynb-Status").get_by_role("button")
    expect(item).to_have_accessible_name(
        re.compile("^raynb, analysis.ipynb: .* finished, 17 failed, 6 of 8 CPUs in use")
    )
    assert barriers(page.locator(".raynb-Status")) == []
    item.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Timeline")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#raynb-task-graph")).to_be_visible()


def test_notebook_7_has_the_marks_and_opens_the_graph_in_its_sidebar(opened: Open) -> None:
    notebook = opened("notebook")
    badge(notebook, 0).click()
    expect(notebook.page.locator("#raynb-task-graph [role=option][aria-selected=true]")).to_have_count(1)
    notebook.page.screenshot(path=SHOTS / "notebook_7.png")
