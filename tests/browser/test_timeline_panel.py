"""The timeline, used by mouse and by keyboard; what the cluster says is pretended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS
from tests.browser.pretended_hub import BEGAN_MS, PretendedHub
from tests.browser.pretended_page import hub, page, set_theme
from tests.support.waiting import wait_until

__all__ = ["hub", "page"]  # fixtures

PANS = 40


class Panel:
    """The opened timeline, and what it asks the hub for."""

    def __init__(self, page: Page, hub: PretendedHub) -> None:
        self.page = page
        self.hub = hub
        page.evaluate("jupyterapp.commands.execute('raynb:open-timeline')")
        self.node = page.locator("#raynb-timeline")
        self.list = self.node.get_by_role("listbox", name="Timeline")
        self.details = self.node.get_by_role("complementary")
        self.canvas = self.node.locator(".raynb-Timeline-canvas")

    def asked(self, view: str = "timeline") -> list[dict[str, Any]]:
        """What was asked for, but for the overview of the run beside a window of the past."""
        views = [m["view"] for m in self.hub.asked if m["type"] == "subscribe" and m["view"]["view"] == view]
        return [each for each in views if each.get("spans_max") != 1]

    def expect_asked(self, what: str, fits: Callable[[dict[str, Any]], bool], view: str = "timeline") -> dict[str, Any]:
        def has_asked() -> bool:
            self.page.wait_for_timeout(20)  # lets the page's messages in; the deadline is wait_until's
            return fits(self.asked(view)[-1])

        wait_until(has_asked, what=what)
        return self.asked(view)[-1]

    def option(self) -> Locator:
        return self.list.locator("[aria-selected=true]")

    def in_sight(self, lane: int) -> int:
        return self.page.evaluate(
            """lane => {
                const view = document.querySelector('#raynb-timeline').raynbView;
                return view.model.nearest(lane, (view.seen.start + view.seen.end) / 2);
            }""",
            lane,
        )

    def span_at(self, number: int) -> dict[str, float]:
        return self.page.evaluate(
            "number => document.querySelector('#raynb-timeline').raynbView.position(number)", number
        )


@pytest.fixture
def panel(page: Page, hub: PretendedHub) -> Panel:
    panel = Panel(page, hub)
    expect(panel.node.get_by_role("button", name="embed")).to_be_visible()
    return panel


def test_a_timeline_is_read_zoomed_and_searched_by_mouse(panel: Panel) -> None:
    expect(panel.node.get_by_role("status").filter(has_text="tasks in sight")).to_be_visible()
    whole = panel.asked()[-1]
    assert whole.get("end", 0) == 0, "until now, and live"
    place = panel.span_at(panel.in_sight(lane=0))
    panel.canvas.hover(position={"x": place["x"], "y": place["y"]})
    expect(panel.node.locator(".raynb-Tip")).to_contain_text("on worker 4000")
    panel.page.screenshot(path=SHOTS / "timeline.png")

    panel.page.mouse.wheel(0, -1200)
    asked = panel.expect_asked("a part of the run is asked for", lambda view: view.get("end", 0) > 0)
    assert asked["end"] - asked["start"] < 20_000
    assert asked["start"] < BEGAN_MS + 60_000 * panel.hub.progress
    expect(panel.node.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")

    place = panel.span_at(panel.in_sight(lane=2))
    panel.canvas.click(position={"x": place["x"], "y": place["y"]})
    expect(panel.details.get_by_role("heading")).to_be_visible()
    expect(panel.details).to_contain_text("worker 4002")

    panel.node.get_by_role("button", name="embed").click()
    expect(panel.node.get_by_role("button", name="embed")).to_have_attribute("aria-pressed", "true")
    panel.page.screenshot(path=SHOTS / "timeline_zoomed.png")
    panel.node.get_by_role("button", name="Fit").click()
    panel.expect_asked("the whole run is asked for again", lambda view: view["end"] == 0)
    expect(panel.node.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")


def test_a_timeline_is_read_and_zoomed_by_keyboard(panel: Panel) -> None:
    keyboard = panel.page.keyboard
    panel.list.focus()
    expect(panel.option()).to_contain_text("on worker 4000")
    expect(panel.option()).to_have_attribute("aria-posinset", "1")
    keyboard.press("ArrowRight")
    expect(panel.option()).to_have_attribute("aria-posinset", "2")
    keyboard.press("ArrowDown")
    expect(panel.option()).to_contain_text("on worker 4001")
    assert panel.list.get_attribute("aria-activedescendant") == panel.option().get_attribute("id")
    keyboard.press("End")
    expect(panel.details).to_contain_text("worker 4001")
    for _ in range(6):
        keyboard.press("+")
    panel.expect_asked("the end of the run is asked for", lambda view: view.get("start", 0) > BEGAN_MS)
    expect(panel.option()).to_contain_text("on worker 4001")  # the selection stays when spans come anew
    keyboard.press("0")
    panel.expect_asked("the whole run is asked for again", lambda view: view["start"] == BEGAN_MS)
    keyboard.press("Escape")
    expect(panel.details).to_be_hidden()


def test_a_brush_counts_what_ran_and_tells_the_other_panels(panel: Panel) -> None:
    panel.list.focus()
    for key in ("ArrowRight", "ArrowRight", "[", "End", "]"):
        panel.page.keyboard.press(key)
    chip = panel.node.locator(".raynb-Chip")
    expect(chip).to_contain_text("tasks of 10 functions")
    panel.node.get_by_role("button", name="Clear the brushed stretch").click()
    expect(chip).to_have_count(0)

    box = panel.canvas.bounding_box()
    assert box
    panel.page.keyboard.down("Shift")
    panel.page.mouse.move(box["x"] + 300, box["y"] + 60)
    panel.page.mouse.down()
    panel.page.mouse.move(box["x"] + 420, box["y"] + 80, steps=4)
    panel.page.mouse.up()
    panel.page.keyboard.up("Shift")
    expect(chip).to_contain_text("functions")
    panel.page.screenshot(path=SHOTS / "timeline_brush.png")

    panel.page.evaluate("void jupyterapp.commands.execute('raynb:open-task-graph')")
    asked = panel.expect_asked("the graph of that stretch", lambda view: view["between"] is not None, "graph")
    assert BEGAN_MS < asked["between"][0] < asked["between"][1]
    graph = panel.page.locator("#raynb-task-graph")
    expect(graph).to_contain_text("only what ran in the brushed")
    graph.get_by_role("button", name="All", exact=True).click()
    panel.expect_asked("the whole graph", lambda view: view["between"] is None, "graph")


def test_the_scrubber_moves_the_task_graph_to_a_moment_and_back_to_now(panel: Panel) -> None:
    page = panel.page
    page.evaluate("jupyterapp.commands.execute('raynb:open-task-graph')")
    expect(page.locator("#raynb-task-graph [role=option]").first).to_be_attached()
    page.evaluate("jupyterapp.commands.execute('raynb:open-timeline')")
    scrubber = panel.node.get_by_role("slider", name="Moment of the run that all panels show")
    expect(scrubber).to_have_attribute("aria-valuetext", "now, live")
    scrubber.focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    expect(scrubber).to_have_attribute("aria-valuetext", "3.30 s after the start")
    expect(panel.node.locator(".raynb-Chip")).to_have_text("all panels as of 3.30 s")
    page.evaluate("jupyterapp.commands.execute('raynb:open-task-graph')")
    panel.expect_asked("the graph at that moment", lambda view: view["at"] == BEGAN_MS + 3300, "graph")
    page.evaluate("jupyterapp.commands.execute('raynb:open-timeline')")
    panel.node.get_by_role("button", name="Live").click()
    expect(scrubber).to_have_attribute("aria-valuetext", "now, live")
    page.evaluate("jupyterapp.commands.execute('raynb:open-task-graph')")
    panel.expect_asked("the graph as it is now", lambda view: view["at"] is None, "graph")


def test_the_run_is_saved_as_a_chrome_trace(panel: Panel) -> None:
    panel.page.route(
        "**/raynb/api/clusters/c0ffee/timeline",
        lambda route: route.fulfill(json={"traceEvents": []}),
    )
    with panel.page.expect_download() as download:
        panel.node.get_by_role("button", name="Save trace").click()
    assert download.value.suggested_filename == "raynb-c0ffee.json"


def test_as_many_spans_as_the_hub_tells_are_drawn_with_the_next_frame_and_once(page: Page, hub: PretendedHub) -> None:
    """How many frames a second that gives is measured by the benchmark of the panels."""
    hub.progress, hub.span_ms = 1.0, 9.0
    panel = Panel(page, hub)
    expect(panel.node.get_by_role("button", name="embed")).to_be_visible()
    assert page.evaluate("document.querySelector('#raynb-timeline').raynbView.model.size") > 5000
    drawn = page.evaluate(
        """async pans => {
            const view = document.querySelector('#raynb-timeline').raynbView;
            view.zoomBy(1.2);
            const frame = () => new Promise(requestAnimationFrame);
            await frame();
            const drawn = [];
            for (let i = 0; i < pans; i++) {
                const before = view.frames;
                for (const by of i % 2 ? [4, 5] : [-3, -4]) view.panBy(by);
                await frame();
                drawn.push(view.frames - before);
            }
            return drawn;
        }""",
        PANS,
    )
    assert drawn == [1] * PANS


def test_no_run_a_lost_connection_and_a_refusal_are_said(page: Page, hub: PretendedHub) -> None:
    hub.silent = True
    panel = Panel(page, hub)
    expect(panel.node.get_by_role("status").filter(has_text="Nothing has run yet")).to_be_visible()
    page.screenshot(path=SHOTS / "timeline_empty.png")
    hub.silent = False
    hub.tell()
    expect(panel.node.get_by_role("button", name="embed")).to_be_visible()
    hub.sockets[-1].close()
    strip = panel.node.locator(".raynb-Strip")
    expect(strip).to_contain_text("connection to the cluster is lost")
    expect(panel.canvas).to_be_visible()  # what is known stays
    expect(strip).to_be_hidden()  # and it comes back by itself


def test_the_timeline_has_no_barriers_in_light_and_dark_and_high_contrast(panel: Panel) -> None:
    panel.list.focus()
    for key in ("ArrowRight", "ArrowRight", "[", "ArrowRight", "]"):
        panel.page.keyboard.press(key)
    for theme in ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"):
        set_theme(panel.page, theme)
        assert barriers(panel.node) == []
        panel.page.screenshot(path=SHOTS / f"timeline_{theme.split()[1].lower()}_{len(theme)}.png")


def test_names_of_functions_and_lanes_stay_text(page: Page, hub: PretendedHub) -> None:
    payload = "<img src=x onerror=window.hacked=1>"
    hub.functions = [(payload, *row[1:]) for row in hub.functions[:1]] + hub.functions[1:]
    panel = Panel(page, hub)
    expect(panel.node.get_by_role("button", name=payload)).to_be_visible()
    panel.list.focus()
    panel.page.keyboard.press("ArrowRight")
    panel.page.keyboard.press("ArrowRight")
    assert panel.node.locator("img").count() == 0
    assert page.evaluate("window.hacked === undefined")
