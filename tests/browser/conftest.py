"""A real JupyterLab, as a user's hub would run it, and a real Chromium.

A missing Chromium skips these tests, but not in CI, where it is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

SHOTS = Path("build", "browser")
START_S_MAX = 60
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox",  # root in a container
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL2 without a GPU
]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab. `url` ends in its base path, as behind JupyterHub: /user/ada/."""

    url: str
    token: str
    notebooks: Path

    @property
    def address(self) -> str:
        return f"{self.url}lab?token={self.token}&reset"


def lab_environment(home: Path) -> dict[str, str]:
    """Nothing of the user's own Jupyter, and no look-ups on the network (news, updates)."""
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    return inherited | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }


def wait_for_server(server: subprocess.Popen[bytes], home: Path) -> dict[str, str]:
    """Where the server listens, once it says so."""
    info = home / "runtime" / f"jpserver-{server.pid}.json"
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        if info.exists() and (text := info.read_text()):
            return json.loads(text)
        try:
            server.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"JupyterLab did not start:\n{(home / 'lab.log').read_text()}")


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a free port, with its own configuration."""
    home = tmp_path_factory.mktemp("lab")
    notebooks = home / "notebooks"
    notebooks.mkdir()
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--ServerApp.base_url=/user/ada/"),
        *(f"--ServerApp.root_dir={notebooks}", "--LabApp.extension_manager=readonly"),
        "--LabApp.expose_app_in_browser=True",  # gives the tests `window.jupyterapp`
    ]
    with (home / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=lab_environment(home), stdout=log, stderr=log)
    try:
        info = wait_for_server(server, home)
        yield Lab(info["url"], info["token"], notebooks)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="package")  # Playwright runs an event loop in this thread as long as it lives
def browser() -> Iterator[Browser]:
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        absent = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        absent("there is no Chromium on PATH; Debian has it as the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


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
