"""JupyterLab in a browser with a pretended hub behind it: fixtures for tests of panels, to be imported by them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import SHOTS, START_S_MAX, Lab
from tests.browser.pretended_hub import PretendedHub

LIGHT = "JupyterLab Light"


@pytest.fixture
def hub() -> PretendedHub:
    return PretendedHub()


@pytest.fixture
def page(browser: Browser, lab: Lab, hub: PretendedHub, request: pytest.FixtureRequest) -> Iterator[Page]:
    """JupyterLab's first page. Its last look is kept in build/browser/, by the test's name."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    try:
        hub.attach(page)  # before there is a page: else its websockets are real ones
        page.goto(lab.address)
        page.locator(".jp-Launcher").first.wait_for(timeout=1000 * START_S_MAX)
        yield page
        page.screenshot(path=SHOTS / f"{request.node.name}.png")
        set_theme(page, LIGHT)  # it is the server that remembers
    finally:
        page.close()


def set_theme(page: Page, theme: str) -> None:
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
