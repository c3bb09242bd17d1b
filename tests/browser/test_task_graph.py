"""The task graph against a cluster of the imagination: 100,000 tasks, and whatever goes wrong on demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS
from tests.browser.pretended_hub import FUNCTIONS, TASKS, PretendedHub
from tests.browser.pretended_page import LIGHT, set_theme
from tests.browser.shared_page import VIEWPORT, hub, page

__all__ = ["hub", "page"]  # fixtures

ENDS_ARE = """(() => {{
    const view = document.querySelector('#raynb-task-graph').raynbView;
    const [a, b] = ['fload_shard', 'freport'].map(id => view.position(id));
    return view.resting && a && b && {};
}})()"""
VIEW = "document.querySelector('#raynb-task-graph').raynbView"


@pytest.fixture
def graph(page: Page, hub: PretendedHub) -> Iterator[Locator]:
    """The panel, alone on the page."""
    page.evaluate("jupyterapp.commands.execute('raynb:open-task-graph')")
    panel = page.locator("#raynb-task-graph")
    expect(nodes(panel)).to_have_count(len(FUNCTIONS))
    yield panel
    close(page, "raynb-task-graph")


def close(page: Page, panel: str) -> None:
    page.evaluate("id => [...jupyterapp.shell.widgets('main')].find(each => each.id === id).close()", panel)
    expect(page.locator(f"#{panel}")).to_have_count(0)


def nodes(panel: Locator) -> Locator:
    return panel.get_by_role("listbox").get_by_role("option")


def node(panel: Locator, name: str) -> Locator:
    """What the list box says of a node."""
    return panel.locator(f"[role=option][data-node='{name}']")


def click_node(panel: Locator, name: str, **how: Any) -> None:
    """A click on the picture of a node."""
    panel.page.wait_for_function(f"{VIEW}.resting")
    panel.locator("canvas").click(position=panel.page.evaluate(f"{VIEW}.position({name!r})"), **how)


def test_functions_are_shown_with_exact_counts_and_a_legend(graph: Locator, hub: PretendedHub) -> None:
    expect(graph.locator(".raynb-Tally")).to_have_text(f"{TASKS:,} tasks")
    expect(node(graph, "ftrain_step")).to_contain_text("17 failed")
    expect(graph.get_by_role("list", name="States of tasks").get_by_role("listitem")).to_have_count(6)
    hub.progress = 1.0
    hub.tell()
    expect(node(graph, "fembed")).to_contain_text("24,000 finished")


def test_a_click_tells_about_a_node_and_its_tasks_can_be_looked_at(graph: Locator, hub: PretendedHub) -> None:
    click_node(graph, "ftrain_step")
    details = graph.get_by_role("complementary", name="The selected node")
    expect(details.get_by_role("heading", name="train_step")).to_be_visible()
    expect(details.get_by_role("listitem").filter(has_text="failed")).to_have_text("17failed")
    expect(details.get_by_label("Error")).to_have_text("ValueError: <b>batch 17</b> has no labels")
    expect(details.get_by_role("list", name="Failed tasks")).to_have_text("ValueError: batch 17 has no labels")
    details.get_by_role("button", name="Single tasks").click()
    expect(graph.get_by_text("around train_step")).to_be_visible()
    expect(nodes(graph)).to_have_count(24)
    assert hub.asked[-1]["view"]["focus"] == "ftrain_step"
    graph.get_by_role("button", name="All tasks").click()
    expect(nodes(graph)).to_have_count(len(FUNCTIONS))


def test_a_single_task_tells_all_and_can_be_cancelled_and_tried_again(graph: Locator, hub: PretendedHub) -> None:
    page = graph.page
    graph.get_by_role("listbox").focus()
    click_node(graph, "ftrain_step")
    page.keyboard.press("e")
    expect(nodes(graph)).to_have_count(24)
    waiting, failed = f"{13:048x}", f"{12:048x}"
    click_node(graph, waiting)
    details = graph.get_by_role("complementary", name="The selected node")
    expect(details).to_contain_text("Waits for a worker: all 2 CPUs are taken.")
    expect(details).to_contain_text("process 4001")
    expect(details.get_by_role("button", name="tokenize").first).to_be_visible()
    details.get_by_role("button", name="Cancel…").click()
    details.get_by_role("button", name="Keep it").press("Escape")
    details.get_by_role("button", name="Cancel…").click()
    hub.refuses_acts = "the task is over already: FINISHED"
    details.get_by_role("button", name="Cancel it").click()
    expect(details.get_by_text("the task is over already: FINISHED")).to_be_visible()
    hub.refuses_acts = ""
    click_node(graph, failed)
    details.get_by_role("button", name="Retry").click()
    expect(details.get_by_text("Submitted again.")).to_be_visible()
    acts = [(each["action"], each["target"]) for each in hub.asked if each["type"] == "act"]
    assert acts == [("cancel", waiting), ("retry", failed)]
    details.get_by_role("button", name="Log").click()
    expect(page.locator("#raynb-logs")).to_be_visible()
    close(page, "raynb-logs")


def test_nobody_is_kept_out(graph: Locator) -> None:
    click_node(graph, "ftrain_step")
    for theme in ("JupyterLab Dark", "JupyterLab Dark High Contrast", LIGHT):
        set_theme(graph.page, theme)
        assert barriers(graph) == []
        graph.page.screenshot(path=SHOTS / f"task_graph_{theme.replace(' ', '_')}.png")


def test_keys_lead_along_the_edges_and_do_what_the_pointer_does(graph: Locator) -> None:
    page = graph.page
    listbox = graph.get_by_role("listbox")
    expect(listbox).to_be_focused()
    page.wait_for_function(f"{VIEW}.resting")
    page.keyboard.press("Home")
    expect(node(graph, "fload_shard")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    selected = graph.locator("[role=option][aria-selected=true]")
    expect(selected).to_have_count(1)
    expect(selected).not_to_have_attribute("data-node", "fload_shard")
    page.keyboard.press("e")
    expect(graph.get_by_text("around")).to_be_visible()


def test_the_graph_runs_the_way_that_there_is_room_for(graph: Locator) -> None:
    page = graph.page
    page.set_viewport_size({"width": 1280, "height": 460})
    page.wait_for_function(ENDS_ARE.format("b.x - a.x > b.y - a.y"))
    graph.screenshot(path=SHOTS / "task_graph_wide.png")
    page.set_viewport_size({"width": 620, "height": 800})
    page.wait_for_function(ENDS_ARE.format("b.y - a.y > b.x - a.x"))
    graph.screenshot(path=SHOTS / "task_graph_narrow.png")
    page.set_viewport_size(VIEWPORT)


HOSTILE = (
    '<img src=x onerror="window.raynb_was_here=1">',
    "<script>window.raynb_was_here=1</script>",
    "javascript:window.raynb_was_here=1",
    "\x1b[31mred\x1b[0m \x07",
    "\u202egpj.exe\u2066",
    "'\"><svg/onload=window.raynb_was_here=1>",
    "{{constructor.constructor('window.raynb_was_here=1')()}}",
    "a" * 5000,
    "\n\r\t\x00",
)


def test_names_of_others_are_shown_as_text_and_do_nothing(page: Page, hub: PretendedHub) -> None:
    hub.functions = [(name, "function", 10, 1.0, ()) for name in HOSTILE]
    hub.progress = 1.0
    page.evaluate("jupyterapp.commands.execute('raynb:open-task-graph')")
    panel = page.locator("#raynb-task-graph")
    expect(nodes(panel)).to_have_count(len(HOSTILE))
    details = panel.get_by_role("complementary", name="The selected node")
    for name in HOSTILE:
        page.evaluate(f"name => {VIEW}.select('f' + name)", name)
        expect(details).to_be_visible()
        heading = details.get_by_role("heading", level=2).text_content() or ""
        assert not any(sign in heading for sign in "\x1b\x07\u202e\u2066\x00")
        assert details.locator("img, script, iframe, svg[onload]").count() == 0
    assert "<img src=x" in panel.get_by_role("listbox").inner_text()
    assert page.evaluate("window.raynb_was_here") is None
    close(page, "raynb-task-graph")


def test_three_hundred_nodes_that_are_moved_are_drawn_with_the_next_frame_and_once(
    page: Page, hub: PretendedHub
) -> None:
    """How many frames a second that gives is measured by the benchmark of the panels."""
    names = [f"step_{n}" for n in range(300)]
    hub.functions = [
        (name, "function", 10, 1.0, tuple({names[n // 2], names[n * 7 // 9]} - {name})) for n, name in enumerate(names)
    ]
    page.evaluate("jupyterapp.commands.execute('raynb:open-task-graph')")
    panel = page.locator("#raynb-task-graph")
    expect(nodes(panel)).to_have_count(300)
    page.wait_for_function(f"{VIEW}.resting")
    panel.screenshot(path=SHOTS / "task_graph_300.png")
    drawn = page.evaluate(
        """async () => {
            const view = document.querySelector('#raynb-task-graph').raynbView;
            const frame = () => new Promise(requestAnimationFrame);
            await frame();
            const drawn = [];
            for (let i = 0; i < 60; i++) {
                const before = view.frames;
                view.panBy(i % 2 ? 9 : -7, 3);
                view.zoomBy(i % 3 ? 1.02 : 0.97);
                await frame();
                drawn.push(view.frames - before);
            }
            return drawn;
        }"""
    )
    assert drawn == [1] * 60
    close(page, "raynb-task-graph")
