"""`progress` and `Cluster` in JupyterLab and in Notebook 7, in a real browser with a real kernel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage

START = "%load_ext raynb\nimport os, time\nimport raynb as ray\nray.init(num_cpus=2, name='test'){}"
FUNCTIONS = """
def pass_gate(path):
    while not os.path.exists(path): time.sleep(0.01)

@ray.remote
def held(number, gate):
    pass_gate(gate)
    return number

@ray.remote(max_retries=0)
def broken(number, gate=''):
    if gate: pass_gate(gate)
    raise ValueError(f'row {number} is <b>broken</b>')
"""
FRONT_ENDS = ("lab", "notebook")

Open = Callable[..., NotebookPage]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    yield page
    page.close()


@pytest.fixture
def opened(page: Page, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a notebook whose first cell starts a cluster; the last one, which is added, ends it."""
    made: list[NotebookPage] = []

    def open_notebook(*cells: str, front_end: str = "lab", card: str = ";") -> NotebookPage:
        name = re.sub(r"\W+", "_", request.node.name)
        notebook = NotebookPage(page, lab, name, [START.format(card), FUNCTIONS, *cells, "ray.shutdown()"], front_end)
        made.append(notebook)
        notebook.run(0)
        notebook.run(1)
        return notebook

    yield open_notebook
    for notebook in made:
        notebook.end()


def gates(tmp_path: Path, *names: str) -> tuple[dict[str, Path], str]:
    """Files that hold tasks up until they are there, and a cell that names them."""
    paths = {name: tmp_path / name for name in names}
    return paths, "\n".join(f"{name} = {str(path)!r}" for name, path in paths.items())


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_progress_appears_over_a_slow_get_moves_while_the_kernel_is_busy_and_stays(
    opened: Open, tmp_path: Path, front_end: str
) -> None:
    gate, names = gates(tmp_path, "first", "second", "last")
    notebook = opened(
        f"{names}\nrefs = [held.remote(n, first) for n in range(3)] + [held.remote(n, second) for n in range(5)]\n"
        "bad = broken.remote(0, last)",
        "try: ray.get([*refs, bad])\nexcept ValueError: print('caught')",
        front_end=front_end,
    )
    notebook.run(2)
    notebook.start(3)
    output = notebook.output(3)
    bar = output.get_by_role("progressbar", name="held")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("0 of 8, 2 running"), timeout=PATIENCE_MS)
    gate["first"].touch()
    expect(bar).to_have_attribute("aria-valuenow", "3")  # the kernel waits in `get` all the time
    notebook.shot(output, f"progress_running_{front_end}")
    gate["second"].touch()
    expect(bar).to_have_attribute("aria-valuenow", "8")
    gate["last"].touch()
    notebook.expect_done(3)
    expect(output.locator(".raynb-head")).to_contain_text("Done, with failures")
    expect(output.locator(".jupyter-widgets")).to_have_count(0)  # a picture, which needs no kernel
    output.locator("details summary").click()
    expect(output.locator("details[open] pre")).to_contain_text("in broken\n")
    expect(notebook.page.locator("#raynb-announcer")).to_contain_text("Done, with failures: 9 of 9")
    notebook.shot(output, f"progress_done_{front_end}")
    saved = notebook.save()[3][0]["data"]
    assert "widget-view" not in "".join(saved)
    assert "8 of 8" in "".join(saved["text/html"])
    assert "".join(saved["text/plain"]).startswith("Done, with failures: 9 of 9 in ")


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_failures_are_shown_while_the_kernel_waits_for_the_others(opened: Open, tmp_path: Path, front_end: str) -> None:
    gate, names = gates(tmp_path, "gate")
    notebook = opened(
        f"{names}\nrefs = [broken.remote(n) for n in range(4)] + [held.remote(n, gate) for n in range(3)]",
        "display(ray.widgets.progress(refs))\nready, _ = ray.wait(refs, num_returns=7)",
        front_end=front_end,
    )
    notebook.run(2)
    notebook.start(3)
    output = notebook.output(3)
    bar = output.get_by_role("progressbar", name="broken")
    expect(bar).to_have_attribute("aria-valuetext", "0 of 4, 4 failed", timeout=PATIENCE_MS)
    failure = output.get_by_role("button", name="ValueError: row 0 is <b>broken</b>")
    expect(failure).to_have_attribute("aria-expanded", "false")
    failure.focus()
    notebook.page.keyboard.press("Enter")
    expect(failure).to_have_attribute("aria-expanded", "true")
    traceback = output.locator(".raynb-failure pre")
    expect(traceback).to_be_visible()
    expect(traceback).to_contain_text("in broken\n")
    assert traceback.locator("b").count() == 0
    notebook.shot(output, f"progress_failure_{front_end}")
    gate["gate"].touch()
    notebook.expect_done(3)
    expect(output.locator(".raynb-head")).to_contain_text("Done, with failures")
    expect(output.locator(".raynb-failure pre")).to_be_visible()  # what was open, is


def test_a_page_in_a_name_stays_text(opened: Open, tmp_path: Path) -> None:
    gate, names = gates(tmp_path, "gate")
    payload = "<img src=x onerror=window.hacked=1><script>window.hacked=2</script>"
    notebook = opened(
        f"{names}\nevil = held.options(name={payload!r})\n"
        "@ray.remote\ndef fails(): raise ValueError('<img src=x onerror=window.hacked=3>\\x1b[31m\\u202e')",
        "ray.widgets.progress([fails.remote(), evil.remote(1, gate)])",
    )
    notebook.run(2)
    notebook.run(3)
    output = notebook.output(3)
    expect(output.locator(".raynb-name").last).to_have_text(payload)
    output.get_by_role("button").first.click()
    expect(output.locator("pre")).to_contain_text("<img src=x onerror=window.hacked=3>")
    gate["gate"].touch()
    expect(output.locator("table .raynb-name").last).to_have_text(payload)
    assert output.locator("img, script").count() == 0
    assert notebook.page.evaluate("window.hacked === undefined")
    assert "\x1b" not in output.inner_text() and "\u202e" not in output.inner_text()


def test_progress_is_silent_where_it_is_switched_off(opened: Open, tmp_path: Path) -> None:
    _, names = gates(tmp_path, "gate")
    notebook = opened(
        f"%config RaynbMagics.progress = False\n{names}",
        "from threading import Timer\n"
        "Timer(2.5, lambda: open(gate, 'w').close()).start()\nray.get(held.remote(7, gate))",
    )
    notebook.run(2)
    output = notebook.run(3)
    expect(output).to_contain_text("7")
    expect(output.locator(".raynb-card")).to_have_count(0)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_clusters_card_shows_what_it_does_scales_it_and_stops_it_after_a_question(
    opened: Open, tmp_path: Path, front_end: str
) -> None:
    _, names = gates(tmp_path, "gate")
    notebook = opened(
        f"{names}\nrefs = [held.remote(n, gate) for n in range(6)]",
        "ray.widgets.Cluster()",
        "ray.get(refs, timeout=0) if ray.is_initialized() else print('no cluster')",
        front_end=front_end,
    )
    notebook.run(2)
    notebook.run(3)
    card = notebook.output(3).locator(".raynb-cluster")
    slots = card.get_by_role("meter", name="CPU slots")
    expect(slots).to_have_attribute("aria-valuetext", "2 of 2 in use", timeout=PATIENCE_MS)
    expect(card).to_contain_text("2 running, 4 waiting")
    expect(card.locator(".raynb-head")).to_contain_text("Cluster test")
    expect(card.locator(".raynb-head")).to_contain_text("started by this notebook")
    notebook.shot(card, f"cluster_{front_end}")

    cpus = card.get_by_role("spinbutton", name="CPUs", exact=True)
    cpus.fill("0")
    cpus.press("Enter")
    expect(cpus).to_have_attribute("aria-invalid", "true")
    cpus.fill("3")
    cpus.press("Enter")
    expect(card.get_by_role("status")).to_have_text("Scaled to 3 CPUs")
    expect(slots).to_have_attribute("aria-valuetext", "3 of 3 in use", timeout=PATIENCE_MS)

    stop = card.get_by_role("button", name="Stop…")
    stop.focus()
    notebook.page.keyboard.press("Enter")
    expect(card.get_by_role("button", name="Keep it")).to_be_focused()
    notebook.shot(card, f"cluster_question_{front_end}")
    notebook.page.keyboard.press("Escape")
    expect(stop).to_be_focused()
    notebook.page.keyboard.press("Enter")
    card.get_by_role("button", name="Stop it").click()
    expect(card.locator(".raynb-head")).to_contain_text("No cluster", timeout=PATIENCE_MS)
    expect(card.get_by_role("status")).to_have_text("Stopped")
    notebook.shot(card, f"cluster_none_{front_end}")
    expect(notebook.run(4)).to_contain_text("no cluster")

    card.get_by_role("spinbutton", name="CPUs of the new cluster").fill("1")
    card.get_by_role("button", name="Start").click()
    expect(card.get_by_role("meter", name="CPU slots")).to_have_attribute(
        "aria-valuetext", "0 of 1 in use", timeout=PATIENCE_MS
    )


def test_the_buttons_act_while_a_cell_runs(opened: Open, tmp_path: Path) -> None:
    gate, names = gates(tmp_path, "gate")
    notebook = opened(f"{names}\nray.widgets.Cluster()", "pass_gate(gate)")
    notebook.run(2)
    card = notebook.output(2).locator(".raynb-cluster")
    expect(card.get_by_role("meter", name="CPU slots")).to_be_visible()
    notebook.start(3)
    card.get_by_role("button", name="Stop…").click()
    card.get_by_role("button", name="Stop it").click()
    expect(card.locator(".raynb-head")).to_contain_text("No cluster", timeout=PATIENCE_MS)
    expect(notebook.cells.nth(3).locator(".jp-InputPrompt").first).to_have_text("[*]:")
    gate.pop("gate").touch()
    notebook.expect_done(3)


def test_what_init_gives_is_a_card_whose_last_state_stays(opened: Open) -> None:
    notebook = opened("ray.shutdown()", card="")
    card = notebook.output(0).locator(".raynb-cluster")
    expect(card.get_by_role("meter", name="CPU slots")).to_be_visible()
    notebook.run(2)
    expect(notebook.output(0).locator(".jupyter-widgets")).to_have_count(0)
    expect(card.locator(".raynb-head")).to_contain_text("ended after")
    assert "ended after" in "".join(notebook.save()[0][-1]["data"]["text/plain"])


def test_the_colours_follow_the_theme(opened: Open, tmp_path: Path) -> None:
    gate, names = gates(tmp_path, "gate")
    notebook = opened(
        f"{names}\nrefs = [broken.remote(1)] + [held.remote(n, gate) for n in range(9)]\nray.widgets.progress(refs)",
        "ray.widgets.Cluster()",
    )
    notebook.run(2)
    notebook.run(3)
    card = notebook.output(2).locator(".raynb-card")

    def ink() -> str:
        colour: str = card.locator(".raynb-word").evaluate("element => getComputedStyle(element).color")
        return colour

    light = ink()
    page = notebook.page
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
    expect(card.locator(".raynb-word")).not_to_have_css("color", light)
    notebook.shot(card, "progress_dark")
    notebook.shot(notebook.output(3).locator(".raynb-card"), "cluster_dark")
    gate["gate"].touch()
    page.emulate_media(reduced_motion="reduce")
    expect(card.locator(".raynb-part").first).to_have_css("transition-duration", "0s")
    page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
