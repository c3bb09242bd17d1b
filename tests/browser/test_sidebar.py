"""The sidebar of clusters: what it says whatever has happened, and what a person does there to a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS, Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage
from tests.browser.pretended_hub import PretendedHub
from tests.browser.pretended_page import LIGHT, set_theme
from tests.browser.shared_page import hub, page

__all__ = ["hub", "page"]  # fixtures

THEMES = (LIGHT, "JupyterLab Dark", "JupyterLab Dark High Contrast")


@pytest.fixture
def sidebar(page: Page, hub: PretendedHub) -> Iterator[Locator]:
    yield shown(page)
    page.evaluate("jupyterapp.shell.collapseLeft()")


def shown(page: Page) -> Locator:
    page.evaluate("jupyterapp.shell.activateById('raynb-clusters')")
    sidebar = page.get_by_role("region", name="raynb clusters")
    expect(sidebar).to_be_visible()
    return sidebar


def again(sidebar: Locator) -> None:
    sidebar.get_by_role("button", name="Look for clusters again").click()


def test_a_card_tells_how_busy_its_cluster_is(sidebar: Locator, hub: PretendedHub) -> None:
    again(sidebar)
    card = sidebar.get_by_role("listitem").filter(has_text="analysis.ipynb")
    expect(card.get_by_role("meter", name="CPUs")).to_have_attribute("aria-valuetext", "6 of 8")
    expect(card.get_by_role("meter", name="Store")).to_have_attribute("aria-valuetext", "1.2 GB of 4.0 GB")
    expect(card.get_by_role("list", name="Tasks")).to_contain_text("17 failed")
    hub.progress = 1.0
    hub.tell()
    expect(card.get_by_role("list", name="Tasks")).to_contain_text("99,983 finished")
    hub.sockets[-1].close()
    expect(card.get_by_role("status")).to_have_text("The connection is lost; trying again.")
    expect(card.get_by_role("status")).to_be_hidden(timeout=PATIENCE_MS)


def test_what_can_not_be_shown_is_said(page: Page, sidebar: Locator, hub: PretendedHub) -> None:
    hub.clusters[0] |= {"alive": False, "problem": "it runs raynb 0.0.1 (protocol 1)"}
    again(sidebar)
    expect(sidebar.locator(".raynb-Cluster")).to_contain_text("It runs raynb 0.0.1 (protocol 1).")
    expect(sidebar.get_by_role("button", name="Scale analysis.ipynb")).to_be_disabled()
    hub.clusters = []
    again(sidebar)
    expect(sidebar.get_by_role("status").filter(has_text="No cluster is running.")).to_be_visible()
    page.route("**/raynb/api/clusters?*", lambda route: route.fulfill(status=404, body="{}"))
    again(sidebar)
    expect(sidebar.get_by_text("raynb's server extension does not answer.")).to_be_visible()
    sidebar.screenshot(path=SHOTS / "sidebar_unreachable.png")
    page.unroute("**/raynb/api/clusters?*")
    hub.attach(page)
    sidebar.get_by_role("button", name="Try again now").click()
    expect(sidebar.get_by_text("No cluster is running.")).to_be_visible()


def test_nobody_is_kept_out(page: Page, sidebar: Locator, hub: PretendedHub) -> None:
    hub.clusters.append(hub.clusters[0] | {"id": "decade", "name": "lab-2"})
    again(sidebar)
    expect(sidebar.get_by_role("meter")).to_have_count(6)
    for theme in THEMES:
        set_theme(page, theme)
        assert barriers(sidebar) == []
        sidebar.screenshot(path=SHOTS / f"sidebar_{theme.replace(' ', '_')}.png")
    set_theme(page, LIGHT)
    # By keyboard: choose a cluster, and ask for its end.
    page.evaluate("jupyterapp.shell.activateById('raynb-clusters')")
    name = sidebar.get_by_role("button", name="lab-2", exact=True)
    expect(name).to_have_attribute("aria-pressed", "false")
    name.focus()
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-pressed", "true")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Shut down lab-2?")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_cluster_is_started_connected_to_scaled_and_shut_down(browser: Browser, lab: Lab) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    try:
        notebook = NotebookPage(page, lab, "sidebar", ["", "1 + 1"])
        sidebar = shown(page)
        sidebar.get_by_role("button", name="New…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("mine")
        dialog.get_by_label("CPUs").fill("1")
        expect(dialog.get_by_label("Python of the kernel")).to_have_value("python3")
        page.keyboard.press("Enter")
        expect(sidebar.get_by_text("Starting a cluster …")).to_be_visible()
        cpus = sidebar.get_by_role("meter", name="CPUs")
        expect(cpus).to_have_attribute("aria-valuetext", "0 of 1", timeout=PATIENCE_MS)

        sidebar.get_by_role("button", name="Connect mine").click()
        expect(notebook.cells.nth(0)).to_contain_text('ray.init(address="mine")')
        card = sidebar.get_by_role("listitem").filter(has_text="mine")
        drag(page, card, notebook.cells.nth(1))
        expect(notebook.cells).to_have_count(3)
        notebook.run(0)

        sidebar.get_by_role("button", name="Scale mine").click()
        dialog.get_by_role("spinbutton").fill("2")
        page.keyboard.press("Enter")
        expect(cpus).to_have_attribute("aria-valuetext", "0 of 2", timeout=PATIENCE_MS)
        sidebar.screenshot(path=SHOTS / "sidebar_real.png")

        card.click(button="right", position={"x": 120, "y": 30})
        page.get_by_role("menuitem", name="Shut Down the Cluster…").click()
        dialog.get_by_role("button", name="Shut Down").click()
        expect(card.get_by_role("status")).to_have_text("Shutting down …")
        expect(sidebar.get_by_text("No cluster is running.")).to_be_visible(timeout=PATIENCE_MS)
    finally:
        page.close()


def drag(page: Page, what: Locator, to: Locator) -> None:
    start, end = what.bounding_box(), to.bounding_box()
    assert start and end
    page.mouse.move(start["x"] + 120, start["y"] + 30)
    page.mouse.down()
    page.mouse.move(start["x"] + 140, start["y"] + 40)
    page.mouse.move(end["x"] + 200, end["y"] + end["height"] / 2, steps=4)
    page.mouse.up()
