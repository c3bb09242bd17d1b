"""What the timeline shows of the stores, and how its brush and its scrubber move the other panels; a pretended hub."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS
from tests.browser.pretended_hub import BEGAN_MS, PretendedHub
from tests.browser.pretended_page import hub, page, set_theme
from tests.support.waiting import wait_until

__all__ = ["hub", "page"]  # fixtures

OTHERS = ("objects", "actors", "nodes")


def open_panel(page: Page, name: str) -> Locator:
    page.evaluate("name => void jupyterapp.commands.execute(`raynb:open-${name}`)", name)
    panel = page.locator(f"#raynb-{name}")
    expect(panel).to_be_visible()
    return panel


def views(hub: PretendedHub, table: str) -> list[dict[str, Any]]:
    asked = [m["view"] for m in hub.asked if m["type"] == "subscribe"]
    return [view for view in asked if view.get("table") == table]


def expect_asked(page: Page, hub: PretendedHub, table: str, field: str, value: Any) -> None:
    def has_asked() -> bool:
        page.wait_for_timeout(20)  # lets the page's messages in; the deadline is wait_until's
        return views(hub, table)[-1][field] == value

    wait_until(has_asked, what=f"{table} are asked for with {field} {value}")


@pytest.fixture
def timeline(page: Page) -> Locator:
    panel = open_panel(page, "timeline")
    expect(panel.get_by_role("button", name="embed")).to_be_visible()
    return panel


def lane_of(page: Page, label: str) -> int:
    return int(
        page.evaluate(
            "label => document.querySelector('#raynb-timeline').raynbView.model.lanes.findIndex("
            "lane => lane.label === label)",
            label,
        )
    )


def brush(page: Page, timeline: Locator) -> None:
    box = timeline.locator(".raynb-Timeline-canvas").bounding_box()
    assert box
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 320, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 520, box["y"] + 80, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(timeline.locator(".raynb-Chip")).to_contain_text("functions")


def test_waits_writes_and_transfers_are_read_by_mouse_and_by_keyboard(timeline: Locator, page: Page) -> None:
    lane = lane_of(page, "waits for room")
    assert lane == 7, "below six workers and an actor"
    place = page.evaluate(
        """lane => {
            const view = document.querySelector('#raynb-timeline').raynbView;
            return view.position(view.model.from[lane] + 2);
        }""",
        lane,
    )
    canvas = timeline.locator(".raynb-Timeline-canvas")
    canvas.hover(position=place)
    expect(timeline.locator(".raynb-Tip")).to_have_text(
        re.compile(r"wait for room of 24\.0 MB, by worker w2 \(pid 4002")
    )
    page.screenshot(path=SHOTS / "timeline_stores.png")
    canvas.click(position=place)
    details = timeline.get_by_role("complementary")
    expect(details.get_by_role("heading")).to_have_text("wait for room of 24.0 MB")
    expect(details).to_contain_text("worker w2 (pid 4002)")

    timeline.get_by_role("listbox", name="Timeline").focus()
    for key in ("ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    option = timeline.locator("[role=option][aria-selected=true]")
    expect(option).to_contain_text("failed, the store stayed full")
    expect(details).to_contain_text("the store stayed full")
    page.keyboard.press("ArrowDown")
    expect(option).to_contain_text("write to disk of")
    page.keyboard.press("ArrowDown")
    expect(option).to_contain_text("transfer in of")
    expect(details).to_contain_text("from node")
    page.screenshot(path=SHOTS / "timeline_transfer.png")
    details.get_by_role("button", name="Show the object").click()
    objects = page.locator("#raynb-objects")
    expect(objects.get_by_role("button", name=re.compile("No more only object id"))).to_be_visible()


def test_the_brush_filters_tables_and_logs_and_each_takes_it_away(
    timeline: Locator, page: Page, hub: PretendedHub
) -> None:
    brush(page, timeline)
    for name, words in zip(OTHERS, ("what was made", "what was called", "what was there"), strict=True):
        panel = open_panel(page, name)
        chip = panel.locator(".raynb-Chip")
        expect(chip).to_have_text(re.compile(f"only {words} in the brushed"))
        between = views(hub, name)[-1]["between"]
        assert BEGAN_MS < between[0] < between[1]
    objects = open_panel(page, "objects")
    expect(objects.locator(".raynb-Tally")).to_contain_text("of 3 more it is not known when they were made")
    expect(objects.locator("tbody tr")).to_have_count(7)
    page.screenshot(path=SHOTS / "objects_brushed.png")
    logs = open_panel(page, "logs")
    expect(logs.locator(".raynb-Chip")).to_contain_text("only what was written in the brushed")
    expect(logs.locator(".raynb-Tally")).to_contain_text("of 9 more nobody knows when they were written")
    page.screenshot(path=SHOTS / "logs_brushed.png")
    logs.get_by_role("button", name="All", exact=True).click()
    expect(logs.locator(".raynb-Chip")).to_have_count(0)
    open_panel(page, "objects")
    expect(objects.locator(".raynb-Chip")).to_have_count(0)
    expect_asked(page, hub, "objects", "between", None)
    open_panel(page, "timeline")
    expect(timeline.locator(".raynb-Chip")).to_have_count(0)


def test_the_scrubber_moves_objects_and_logs_to_a_moment(timeline: Locator, page: Page, hub: PretendedHub) -> None:
    timeline.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    expect(timeline.locator(".raynb-Chip")).to_have_text("all panels as of 3.30 s")
    objects = open_panel(page, "objects")
    expect_asked(page, hub, "objects", "at", BEGAN_MS + 3300)
    expect(objects.locator(".raynb-Chip")).to_contain_text("as of")
    tally = objects.locator(".raynb-Tally")
    expect(tally).to_contain_text("40 more are not kept")
    expect(tally).to_contain_text("small values and who used them then are not recorded")
    page.screenshot(path=SHOTS / "objects_then.png")
    logs = open_panel(page, "logs")
    expect(logs.locator(".raynb-Chip")).to_contain_text("as of")
    expect(logs.locator(".raynb-Logs-line")).to_have_count(24)
    logs.get_by_role("button", name="Back to now").click()
    expect(logs.locator(".raynb-Logs-line").nth(200)).to_be_attached()
    open_panel(page, "objects")
    expect_asked(page, hub, "objects", "at", None)


def test_filtered_panels_have_no_barriers_in_any_theme(timeline: Locator, page: Page) -> None:
    brush(page, timeline)
    page.screenshot(path=SHOTS / "timeline_lens_light.png")
    panels = [timeline, open_panel(page, "objects"), open_panel(page, "logs")]
    for theme in ("JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"):
        set_theme(page, theme)
        for panel, name in zip(panels, ("timeline", "objects", "logs"), strict=True):
            open_panel(page, name)
            expect(panel.locator(".raynb-Chip")).to_be_visible()
            assert barriers(panel) == []
            page.screenshot(path=SHOTS / f"lens_{name}_{theme.split()[1].lower()}_{len(theme)}.png")
