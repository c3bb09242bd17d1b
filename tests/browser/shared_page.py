"""One JupyterLab for all tests of a module, with a pretended hub that begins anew: fixtures to be imported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.browser.conftest import START_S_MAX, Lab
from tests.browser.pretended_hub import PretendedHub

VIEWPORT: ViewportSize = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """What a test opens there, it closes."""
    page = browser.new_page(viewport=VIEWPORT)
    hub = PretendedHub()
    hub.attach(page)
    vars(page)["raynb_hub"] = hub
    page.goto(lab.address)
    page.locator(".jp-Launcher").first.wait_for(timeout=1000 * START_S_MAX)
    yield page
    page.close()


@pytest.fixture
def hub(page: Page) -> PretendedHub:
    """What is behind the page."""
    hub: PretendedHub = vars(page)["raynb_hub"]
    hub.reset()
    return hub
