"""A run that no panel and no notebook of this JupyterLab has started, and panels that look at it, for tests."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.browser.conftest import START_S_MAX, Lab
from tests.browser.notebook import PATIENCE_MS
from tests.server_extension.conftest import BEGIN
from tests.server_extension.program import Program
from tests.support.leaks import processes_of
from tests.support.waiting import wait_until


class Run:
    """A program with a cluster of two CPUs, in an environment in which the Jupyter server finds it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.program = Program(lab.environment)
        self._session = Path(self.program.run(BEGIN)).name

    def run(self, code: str) -> Any:
        return self.program.run(code)

    def request(self, method: str, path: str = "") -> Any:
        url = f"{self._lab.url}raynb/api/clusters{path}"
        request = urllib.request.Request(url, method=method, headers={"Authorization": f"token {self._lab.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def close(self) -> None:
        self.program.close()
        for cluster in self.request("GET")["clusters"]:
            if cluster["id"] in self._session:
                with suppress(OSError):  # it ends with its program
                    self.request("DELETE", f"/{cluster['id']}")
        wait_until(lambda: not processes_of(self._session), what="the processes of the cluster are gone")


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.goto(lab.address)
    page.locator(".jp-Launcher").first.wait_for(timeout=1000 * START_S_MAX)
    yield page
    page.close()


@pytest.fixture
def run(lab: Lab) -> Iterator[Run]:
    run = Run(lab)
    yield run
    run.close()


def opened(page: Page, name: str) -> Locator:
    """A panel, as its command opens it."""
    page.evaluate("name => void jupyterapp.commands.execute(`raynb:open-${name}`)", name)
    panel = page.locator(f"#raynb-{name}")
    panel.wait_for(timeout=PATIENCE_MS)
    return panel
