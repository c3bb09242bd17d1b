"""A real JupyterLab, as a user's hub would run it, and a real Chromium.

A missing Chromium skips these tests, but not in CI, where it is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.lab import START_S_MAX, Lab, NoChromium, running_chromium, running_lab

__all__ = ["SHOTS", "START_S_MAX", "Lab"]

SHOTS = Path("build", "browser")


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a free port, with its own configuration."""
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        with running_chromium() as browser:
            yield browser
    except NoChromium as absent:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(absent))


@pytest.fixture
def page(browser: Browser, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Page]:
    """JupyterLab's first page. Its last look is kept in build/browser/, by the test's name."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    try:
        page.goto(lab.address)
        page.locator(".jp-Launcher").first.wait_for(timeout=1000 * START_S_MAX)
        yield page
        page.screenshot(path=SHOTS / f"{request.node.name}.png")
    finally:
        page.close()
