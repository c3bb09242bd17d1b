"""A JupyterLab and a Chromium as processes of their own, for tests and for measurements."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

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
    pid: int
    environment: Mapping[str, str]

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
    raise AssertionError(f"JupyterLab did not start:\n{(home / 'lab.log').read_text()}")


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """JupyterLab on a free port, with its own configuration, as a user's hub would run it."""
    notebooks = home / "notebooks"
    notebooks.mkdir()
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--ServerApp.base_url=/user/ada/"),
        *(f"--ServerApp.root_dir={notebooks}", "--LabApp.extension_manager=readonly"),
        # They give the tests `window.jupyterapp`.
        *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
    ]
    environment = lab_environment(home)
    with (home / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        info = wait_for_server(server, home)
        yield Lab(info["url"], info["token"], notebooks, server.pid, environment)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


class NoChromium(RuntimeError):
    """There is none on PATH."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Chromium without a window. Playwright runs an event loop in this thread as long as it lives.

    Raises
    ------
    NoChromium
        It can't be found.
    """
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise NoChromium("there is no Chromium on PATH; Debian has it as the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
