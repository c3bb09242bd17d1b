"""A run that no panel has started, on a real cluster: acted on while its program stands still, read when it is dead,
and looked at by keyboard alone; and panels that are where they were after a reload."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.request import Request, urlopen

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SHOTS, START_S_MAX, Lab
from tests.browser.notebook import PATIENCE_MS
from tests.browser.others_run import Run, opened, page, run
from tests.browser.test_task_graph import click_node, close, nodes
from tests.support.waiting import wait_until

__all__ = ["page", "run"]  # fixtures

WORK = """
import numpy as np
@ray.remote(max_retries=0)
def fails(n): raise ValueError(f"row {{n}} has no label")
@ray.remote
def says(n): print("shard", n, "is read", flush=True); return n
ray.get([says.remote(n) for n in range(20)])
ray.wait([fails.remote(7)])
counter = Counter.options(name="shared").remote(); ray.get(counter.add.remote())
grid = ray.put(np.arange(300_000.0).reshape(1000, 300))
held = [hold.remote({gate!r}) for _ in range(6)]
"""


def rows(panel: Locator) -> Locator:
    return panel.locator(".raynb-Table-stage tbody tr")


def function(graph: Locator, name: str) -> Locator:
    return nodes(graph).filter(has_text=f"{name}, function")


def select(graph: Locator, name: str) -> None:
    identity = function(graph, name).get_attribute("data-node")
    assert identity
    click_node(graph, identity)


def act(details: Locator, ask: str, yes: str) -> str:
    """Have something done that asks first; the answer."""
    details.get_by_role("button", name=ask).click()
    details.get_by_role("button", name=yes, exact=True).click()
    answer = details.locator(".raynb-Confirm [role=status]")
    expect(answer).to_have_text(re.compile("[^…]"), timeout=PATIENCE_MS)
    return answer.inner_text()


def test_a_run_is_acted_on_while_its_program_stands_still(page: Page, run: Run, tmp_path: Path) -> None:
    run.run(WORK.format(gate=str(tmp_path / "gate")))
    page.evaluate("jupyterapp.shell.activateById('raynb-clusters')")
    sidebar = page.get_by_role("region", name="raynb clusters")
    cpus = sidebar.get_by_role("meter", name="CPUs")
    expect(cpus).to_have_attribute("aria-valuetext", "2 of 2", timeout=PATIENCE_MS)
    graph = opened(page, "task-graph")
    expect(function(graph, "wait_for")).to_contain_text("2 run", timeout=PATIENCE_MS)
    actors = opened(page, "actors")
    rows(actors).filter(has_text="shared").get_by_role("button").click()
    objects = opened(page, "objects")
    rows(objects).filter(has_text="2.4 MB").get_by_role("button").click()
    run.program.stop()

    details = objects.get_by_role("complementary")
    said = act(details, "Free…", "Free it")
    assert f"process {run.program.pid}" in said and "Nothing was done" in said, said
    expect(details.get_by_role("region", name="Preview")).to_contain_text(re.compile("1,000 . 300"))

    opened(page, "actors")
    details = actors.get_by_role("complementary")
    said = act(details, "Kill…", "Kill it")
    assert said == "Killed."
    expect(details).to_contain_text(re.compile("state\\s*dead"), timeout=PATIENCE_MS)

    opened(page, "task-graph")
    details = graph.get_by_role("complementary", name="The selected node")
    select(graph, "wait_for")
    said = act(details, "Cancel the rest…", "Cancel them")
    assert said == "Cancelled."
    page.screenshot(path=SHOTS / "others_stopped.png")

    sidebar.get_by_role("button", name=re.compile("^Scale ")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("spinbutton").fill("3")
    dialog.get_by_role("button", name="Scale").click()
    expect(cpus).to_have_attribute("aria-valuetext", re.compile(" of 3$"), timeout=PATIENCE_MS)

    run.program.go_on()
    expect(function(graph, "wait_for")).to_contain_text("6 failed", timeout=PATIENCE_MS)


def test_what_was_recorded_is_read_when_its_program_is_dead(page: Page, lab: Lab, run: Run, tmp_path: Path) -> None:
    run.run(WORK.format(gate=str(tmp_path / "gate")))
    graph = opened(page, "task-graph")
    expect(function(graph, "wait_for")).to_contain_text("2 run", timeout=PATIENCE_MS)
    run.program.kill()
    expect(function(graph, "wait_for")).to_contain_text("6 failed", timeout=PATIENCE_MS)
    page.goto(lab.address)  # nothing is left of what the page knew
    page.locator(".jp-Launcher").first.wait_for(timeout=1000 * START_S_MAX)

    graph = opened(page, "task-graph")
    expect(function(graph, "says")).to_contain_text("20 finished", timeout=PATIENCE_MS)
    details = graph.get_by_role("complementary", name="The selected node")
    select(graph, "wait_for")
    expect(details).to_contain_text(re.compile("died|ended|gone", re.IGNORECASE))
    select(graph, "fails")
    expect(details).to_contain_text("ValueError: row 7 has no label")
    page.screenshot(path=SHOTS / "others_dead.png")
    timeline = opened(page, "timeline")
    expect(timeline.get_by_role("button", name="says", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    logs = opened(page, "logs")
    expect(logs.get_by_role("log")).to_contain_text("shard 19 is read", timeout=PATIENCE_MS)
    actors = opened(page, "actors")
    rows(actors).filter(has_text="shared").get_by_role("button").click()
    expect(actors.get_by_role("complementary")).to_contain_text(re.compile("state\\s*dead"))


# -- by keyboard alone

ACTIVE = """() => {
    const it = document.activeElement;
    const name = it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent ?? it.textContent;
    return `${it.getAttribute('role') ?? it.tagName.toLowerCase()} ${name.trim()}`;
}"""
TABS_MAX = 40
ROUND = 3 * (*4 * ("ArrowRight",), "ArrowDown", *4 * ("ArrowLeft",), "ArrowDown")
"""From the first node past all others, row by row."""


def open_by_keys(page: Page, title: str) -> None:
    """By the command palette."""
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-input:focus").wait_for(timeout=PATIENCE_MS)
    page.keyboard.type(title)
    wanted = page.locator(".lm-CommandPalette-item.lm-mod-active", has_text=title)
    for _ in range(TABS_MAX):
        if wanted.count() and wanted.get_attribute("data-command") == f"raynb:open-{title.lower().replace(' ', '-')}":
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def tab_to(page: Page, wanted: str, key: str = "Tab") -> None:
    """Press Tab until what has the focus is called so: its role or element, and its name."""
    passed = []
    for _ in range(TABS_MAX):
        passed.append(page.evaluate(ACTIVE))
        if re.match(wanted, passed[-1]):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted!r} is not among {passed}")


def test_every_panel_is_used_by_keyboard_alone(page: Page, run: Run, tmp_path: Path) -> None:
    run.run(WORK.format(gate=str(tmp_path / "gate")))
    press = page.keyboard.press

    open_by_keys(page, "Task Graph")
    graph = page.locator("#raynb-task-graph")
    expect(function(graph, "wait_for")).to_contain_text("2 run", timeout=PATIENCE_MS)
    tab_to(page, "listbox Task graph")
    press("Home")
    chosen = graph.locator("[role=option][aria-selected=true]")
    for key in ROUND:
        if "wait_for, function" in chosen.inner_text():
            break
        press(key)
    expect(chosen).to_contain_text("wait_for, function")
    tab_to(page, "button Cancel the rest")
    press("Enter")
    tab_to(page, "button Cancel them", "Shift+Tab")
    press("Enter")
    expect(function(graph, "wait_for")).to_contain_text("6 failed", timeout=PATIENCE_MS)

    open_by_keys(page, "Timeline")
    timeline = page.locator("#raynb-timeline")
    expect(timeline.get_by_role("button", name="says", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    tab_to(page, "listbox Timeline")
    press("ArrowRight")
    expect(timeline.get_by_role("complementary")).to_contain_text("after the start")

    open_by_keys(page, "Objects")
    objects = page.locator("#raynb-objects")
    expect(rows(objects).first).to_be_visible(timeout=PATIENCE_MS)
    tab_to(page, "(input|searchbox) Search")
    page.keyboard.type("ndarray")
    expect(rows(objects)).to_have_count(1)
    tab_to(page, "button [0-9a-f]")
    press("Enter")
    expect(objects.get_by_role("region", name="Preview")).to_contain_text(re.compile("1,000 . 300"))
    tab_to(page, "button Rows after")
    press("Enter")
    expect(objects.get_by_role("region", name="Preview")).to_contain_text(re.compile("rows 50.99 of 1,000"))
    tab_to(page, "button Free", "Shift+Tab")
    press("Enter")
    tab_to(page, "button Free it", "Shift+Tab")
    press("Enter")
    expect(objects.get_by_role("complementary")).to_contain_text("Freed.")

    open_by_keys(page, "Actors")
    actors = page.locator("#raynb-actors")
    expect(rows(actors).first).to_be_visible(timeout=PATIENCE_MS)
    tab_to(page, "button .*(Counter|shared)")
    press("Enter")
    tab_to(page, "button Kill")
    press("Enter")
    tab_to(page, "button Kill it", "Shift+Tab")
    press("Enter")
    expect(actors.get_by_role("complementary")).to_contain_text("Killed.")

    open_by_keys(page, "Nodes")
    board = page.locator("#raynb-nodes")
    expect(rows(board).first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function("document.querySelector('#raynb-nodes').contains(document.activeElement)")
    tab_to(page, "button .*head")
    press("Enter")
    expect(board.get_by_role("complementary")).to_be_visible()

    open_by_keys(page, "Logs")
    log = page.locator("#raynb-logs").get_by_role("log")
    expect(log).to_contain_text("shard 19 is read", timeout=PATIENCE_MS)
    tab_to(page, "(input|searchbox) Search")
    page.keyboard.type("shard 7 ")
    expect(log.locator(".raynb-Logs-line")).to_have_count(1)


# -- after a reload


def workspaces(lab: Lab) -> str:
    """What the server keeps of the layout."""
    request = Request(f"{lab.url}lab/api/workspaces", headers={"Authorization": f"token {lab.token}"})
    with urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_panels_are_where_they_were_after_a_reload(page: Page, lab: Lab) -> None:
    for name in ("task-graph", "timeline", "objects"):
        opened(page, name)
    close(page, "raynb-timeline")
    page.evaluate(
        """() => {
            const find = id => [...jupyterapp.shell.widgets('main')].find(each => each.id === id);
            jupyterapp.shell.add(find('raynb-objects'), 'main', { mode: 'split-right', ref: 'raynb-task-graph' });
        }"""
    )
    page.evaluate("jupyterapp.shell.activateById('raynb-task-graph')")
    left, right = page.locator("#raynb-task-graph"), page.locator("#raynb-objects")
    expect(left).to_be_visible()
    expect(right).to_be_visible()

    def is_kept() -> bool:
        page.wait_for_timeout(50)  # lets the page's own timers run; the deadline is wait_until's
        kept = workspaces(lab)
        return "split-area" in kept and "raynb-objects" in kept and "raynb-timeline:raynb-timeline" not in kept

    wait_until(is_kept, timeout=START_S_MAX, what="the server has the layout")
    page.goto(f"{lab.url}lab")
    expect(left).to_be_visible(timeout=1000 * START_S_MAX)
    expect(right).to_be_visible()
    places = left.bounding_box(), right.bounding_box()
    assert places[0] and places[1] and places[0]["x"] + places[0]["width"] <= places[1]["x"] + 8
    expect(page.locator("#raynb-timeline")).to_have_count(0)
    expect(left.locator(".raynb-Notice")).to_contain_text("No cluster is running.", timeout=PATIENCE_MS)
    opened(page, "task-graph")
    expect(page.locator("#raynb-task-graph")).to_have_count(1)
