"""What a measurement does in JupyterLab: it opens panels, moves what they show, and reads the clock of the page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

PATIENCE_MS = 30_000
MOVES = 90
CANVAS = "#raynb-{panel} .raynb-Panel-body :is(.raynb-Graph-canvas, .raynb-Timeline-canvas)"

FIRST_PAINT = """async panel => {
    const frame = () => new Promise(requestAnimationFrame);
    const began = performance.now();
    void jupyterapp.commands.execute(`raynb:open-${panel}`);
    const view = () => document.querySelector(`#raynb-${panel}`)?.raynbView;
    const there = {
        'task-graph': () => view()?.resting && view().model.tasks > 0,
        timeline: () => view()?.model.size > 0
    }[panel];
    while (!there() || document.querySelector(`#raynb-${panel} .raynb-Panel-body`).inert) {
        await frame();
    }
    const { frames } = view();
    while (view().frames === frames && performance.now() - began < 30000) {
        await frame();
    }
    return performance.now() - began;
}"""
"""Milliseconds from the command to a picture of the run on the screen."""

PREVIEW = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const panel = document.querySelector('#raynb-objects');
    const row = panel.querySelector('.raynb-Table-stage tbody tr button');
    const began = performance.now();
    row.click();
    const shown = () => panel.querySelector('.raynb-Preview-content table');
    while (!shown()) {
        await frame();
    }
    await frame();
    return performance.now() - began;
}"""
"""Milliseconds from the click on the first row to its preview on the screen."""


ZOOM = """async ([selector, clientX, clientY, turns]) => {
    const frame = () => new Promise(requestAnimationFrame);
    const canvas = document.querySelector(selector);
    const view = canvas.closest('.raynb-Panel').raynbView;
    await frame();
    const [before, began] = [view.frames, performance.now()];
    for (let turn = 0; turn < turns; turn++) {
        const deltaY = Math.floor(turn / 15) % 2 ? 40 : -40;
        canvas.dispatchEvent(new WheelEvent('wheel', { deltaY, clientX, clientY, bubbles: true, cancelable: true }));
        await frame();
    }
    return (1000 * (view.frames - before)) / (performance.now() - began);
}"""


class Desk:
    """The panels of one JupyterLab, by their names: ``task-graph``, ``timeline``, ``objects``."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def first_paint_s(self, panel: str) -> float:
        """Open a panel that isn't there yet; how long until it shows the run."""
        return float(self.page.evaluate(FIRST_PAINT, panel)) / 1000

    def open(self, panel: str) -> None:
        self.page.evaluate("panel => void jupyterapp.commands.execute(`raynb:open-${panel}`)", panel)
        self.page.locator(f"#raynb-{panel}").wait_for(timeout=PATIENCE_MS)

    def close(self, panel: str) -> None:
        self.page.evaluate(
            "panel => [...jupyterapp.shell.widgets('main')].find(each => each.id === `raynb-${panel}`)?.close()", panel
        )
        self.page.locator(f"#raynb-{panel}").wait_for(state="detached", timeout=PATIENCE_MS)

    def preview_s(self) -> float:
        """Look into the first object of the table; how long until it is shown."""
        return float(self.page.evaluate(PREVIEW)) / 1000

    # -- what a panel shows

    def wait_for_tasks(self, count: int) -> None:
        """Until the graph says that there are so many, all of them finished."""
        self.page.wait_for_function(
            """count => {
                const { model } = document.querySelector('#raynb-task-graph').raynbView;
                const finished = [...model.nodes.values()].reduce((sum, node) => sum + node.counts[4], 0);
                return model.tasks === count && finished === count;
            }""",
            arg=count,
            timeout=PATIENCE_MS,
        )

    def counts(self) -> Mapping[str, list[int]]:
        """For each node of the graph how many of its tasks are in each state."""
        found: dict[str, list[int]] = self.page.evaluate(
            """Object.fromEntries([...document.querySelector('#raynb-task-graph').raynbView.model.nodes.values()]
                .map(node => [node.label, node.counts]))"""
        )
        return found

    def show_single_tasks(self) -> None:
        """Of the function with the most inputs, as many as a picture holds."""
        self.page.evaluate(
            """() => {
                const panel = [...jupyterapp.shell.widgets('main')].find(each => each.id === 'raynb-task-graph');
                panel.expand([...panel.model.nodes.values()].find(node => node.label === 'summarise').id);
            }"""
        )
        more = self.page.locator("#raynb-task-graph").get_by_role("button", name="Show more")
        more.click(timeout=PATIENCE_MS)
        more.wait_for(state="detached", timeout=PATIENCE_MS)
        self.page.wait_for_function("document.querySelector('#raynb-task-graph').raynbView.resting")

    # -- how it moves

    def panned(self, panel: str) -> float:
        """Drag what a panel shows by the mouse, as fast as the page takes it in; frames a second meanwhile."""
        x, y = self._middle(panel)
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        before, began = self._frames(panel), time.perf_counter()
        for move in range(MOVES):
            mouse.move(x - 2 * abs(30 - move % 60), y - abs(20 - move % 40))
        drawn, taken_s = self._frames(panel) - before, time.perf_counter() - began
        mouse.up()
        return drawn / taken_s

    def zoomed(self, panel: str) -> float:
        """Turn the wheel once a frame, which is more often than a browser that is steered from outside can be told to;
        frames a second meanwhile."""
        x, y = self._middle(panel)
        return float(self.page.evaluate(ZOOM, [CANVAS.format(panel=panel), x, y, MOVES]))

    def _middle(self, panel: str) -> tuple[float, float]:
        box = self.page.locator(CANVAS.format(panel=panel)).bounding_box()
        assert box is not None
        return box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2

    def _frames(self, panel: str) -> int:
        return int(self.page.evaluate(f"document.querySelector('#raynb-{panel}').raynbView.frames"))

    def shot(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")


def forget_reads(pid: int) -> None:
    """From now on `read_bytes` counts anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("1")


def read_bytes(pid: int) -> int:
    """What a process has read or written of shared memory: the pages that its processor has marked as used."""
    found, shared = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            shared = "/dev/shm/" in rest
        elif shared and name == "Referenced:":
            found += 1024 * int(rest.split()[0])
    return found


def memory_bytes() -> Mapping[str, Any]:
    """What this machine has, by /proc/meminfo's names."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: 1024 * int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
