"""A notebook in a browser, driven as a person drives it: by keys and clicks."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SHOTS, START_S_MAX, Lab
from tests.support.waiting import wait_until

PATIENCE_MS = 30_000
AGAIN_MS = 10_000


class NotebookPage:
    """One notebook, opened in JupyterLab or in Notebook 7.

    Parameters
    ----------
    cells
        Sources of its code cells.
    front_end
        ``lab`` or ``notebook``.
    """

    def __init__(self, page: Page, lab: Lab, name: str, cells: list[str], front_end: str = "lab") -> None:
        self.page = page
        self.path = lab.notebooks / f"{name}.ipynb"
        self.path.write_text(json.dumps(_document(cells)))
        place = "lab/tree" if front_end == "lab" else "notebooks"
        reset = "&reset" if front_end == "lab" else ""
        page.goto(f"{lab.url}{place}/{self.path.name}?token={lab.token}{reset}")
        self.cells = page.locator(".jp-Notebook .jp-CodeCell")
        self._last = len(cells) - 1
        expect(self.cells).to_have_count(len(cells), timeout=1000 * START_S_MAX)
        # The kernel is there, and what it is asked will be answered: who runs a cell before is asked for a kernel.
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=1000 * START_S_MAX)
        ready = "jupyterapp.shell.currentWidget?.sessionContext?.isReady"
        page.wait_for_function(ready, timeout=1000 * START_S_MAX)

    def start(self, number: int) -> None:
        """Have a cell run, by its number from 0 on."""
        prompt = self.cells.nth(number).locator(".jp-InputPrompt").first
        before = prompt.inner_text()

        def has_begun() -> bool:
            # Again, if need be: a key may be ignored. Not soon: on a busy machine the cell would run twice.
            self.cells.nth(number).locator(".jp-InputArea-editor").click()
            self.page.keyboard.press("Shift+Enter")
            with contextlib.suppress(AssertionError):
                expect(prompt).not_to_have_text(before, timeout=AGAIN_MS)
                return True
            return False

        wait_until(has_begun, timeout=START_S_MAX, what=f"cell {number} runs")

    def run(self, number: int) -> Locator:
        """Run a cell to its end; its output."""
        self.start(number)
        self.expect_done(number)
        return self.output(number)

    def run_all(self) -> None:
        """Have all cells run, from the menu."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()

    def stop(self) -> None:
        """Press the stop button, once the kernel is busy."""
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=busy]").first.wait_for(timeout=PATIENCE_MS)
        self.page.locator("[data-command='notebook:interrupt-kernel']").first.click()

    def expect_done(self, number: int) -> None:
        prompt = self.cells.nth(number).locator(".jp-InputPrompt").first
        try:
            expect(prompt).to_have_text(f"[{number + 1}]:", timeout=PATIENCE_MS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n\nWhat the cells say:\n{self._all_outputs()}") from None

    def _all_outputs(self) -> str:
        """Where a cell has failed, those after it are not run."""
        return "\n".join(text for text in self.page.locator(".jp-Notebook .jp-OutputArea").all_inner_texts() if text)

    def output(self, number: int) -> Locator:
        return self.cells.nth(number).locator(".jp-OutputArea").first

    def end(self) -> None:
        """Run the last cell, which ends what the others have started, after all that still runs."""
        self.start(self._last)
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=PATIENCE_MS)

    def save(self) -> list[list[dict[str, Any]]]:
        """Save it, and give the outputs of its cells as they are in the file."""
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")

        def cells() -> list[dict[str, Any]]:
            with contextlib.suppress(ValueError):  # it is being written
                if self.path.stat().st_mtime_ns != before:
                    found: list[dict[str, Any]] = json.loads(self.path.read_text())["cells"]
                    return found
            return []

        return [cell["outputs"] for cell in wait_until(cells, what="the notebook is saved")]

    def shot(self, what: Locator, name: str) -> Path:
        """Keep how something looks, in build/browser/."""
        path = SHOTS / f"{name}.png"
        what.scroll_into_view_if_needed()
        what.screenshot(path=path)
        return path


def _document(cells: list[str]) -> dict[str, Any]:
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
