"""Objects, actors, nodes and logs, used by mouse and by keyboard; what the cluster says is pretended."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import SHOTS
from tests.browser.pretended_hub import PretendedHub
from tests.browser.pretended_page import hub, page, set_theme
from tests.browser.pretended_tables import HOSTILE, objects

__all__ = ["hub", "page"]  # fixtures

Open = Callable[[str], Locator]


@pytest.fixture
def opened(page: Page) -> Open:
    def open_panel(name: str) -> Locator:
        page.evaluate("name => void jupyterapp.commands.execute(`raynb:open-${name}`)", name)
        return page.locator(f"#raynb-{name}")

    return open_panel


def rows(panel: Locator) -> Locator:
    return panel.locator(".raynb-Table-stage tbody tr")


def asked(hub: PretendedHub) -> dict[str, Any]:
    return [m["view"] for m in hub.asked if m["type"] == "subscribe" and m["view"]["view"] == "table"][-1]


def test_objects_are_found_sorted_paged_and_looked_into(opened: Open, page: Page, hub: PretendedHub) -> None:
    panel = opened("objects")
    status = panel.get_by_role("status")
    expect(status.filter(has_text=re.compile("1.50 of 250"))).to_contain_text("1 process is too busy to say")
    expect(rows(panel)).to_have_count(50)
    panel.get_by_role("button", name="Next page").click()
    expect(status.filter(has_text=re.compile("51.100 of 250"))).to_be_visible()
    size = panel.get_by_role("columnheader", name="Size")
    size.get_by_role("button").click()
    expect(size).to_have_attribute("aria-sort", "descending")
    expect(rows(panel).first).to_contain_text("64.0 MB")
    expect(size.get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(size).to_have_attribute("aria-sort", "ascending")
    assert asked(hub)["sort"] == "object_size"
    assert asked(hub)["offset"] == 0

    search = panel.get_by_role("searchbox")
    search.fill("dataframe")
    expect(status.filter(has_text="of 36")).to_be_visible()
    panel.get_by_role("combobox", name="State").select_option("STORED")
    stored = [each for each in objects(0.0) if "DataFrame" in each["value_type"] and each["state"] == "STORED"]
    assert len(stored) != 36
    expect(status.filter(has_text=f"of {len(stored)}")).to_be_visible()
    expect(rows(panel).first).to_contain_text("DataFrame")
    assert asked(hub)["filters"] == [["state", "=", "STORED"]]
    page.keyboard.press("Tab")

    rows(panel).first.get_by_role("button").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    details = panel.get_by_role("complementary")
    preview = details.get_by_role("region", name="Preview")
    expect(preview.get_by_role("columnheader").nth(2)).to_have_text(re.compile("text.*string, 17 missing"))
    preview.get_by_role("button", name="Rows after").click()
    expect(preview.get_by_text(re.compile("rows 20.39 of 120,000"))).to_be_visible()
    expect(preview.get_by_role("button", name="Rows after")).to_be_focused()
    page.screenshot(path=SHOTS / "objects_table.png")

    details.get_by_role("button", name="Only from this line").click()
    expect(panel.get_by_role("button", name=re.compile("No more only call site"))).to_be_visible()
    assert [name for name, *_ in asked(hub)["filters"]] == ["state", "call_site"]
    search.fill("no such thing")
    expect(status.filter(has_text="Nothing matches.")).to_be_visible()


def test_arrays_show_a_histogram_a_slice_and_a_picture(opened: Open, page: Page) -> None:
    panel = opened("objects")
    rows(panel).nth(0).get_by_role("button").click()
    preview = panel.get_by_role("region", name="Preview")
    expect(preview.get_by_role("img", name=re.compile("Histogram of .* values from -3.2 to 3.4"))).to_be_visible()
    expect(preview).to_contain_text("12 values are no finite numbers")
    page.screenshot(path=SHOTS / "objects_array.png")
    rows(panel).nth(3).get_by_role("button").click()
    expect(preview.get_by_role("img", name=re.compile("Picture"))).to_be_visible()
    index = preview.get_by_role("spinbutton", name="Index in dimension 0")
    index.fill("9999")
    index.press("Enter")
    expect(index).to_have_value("479")
    page.screenshot(path=SHOTS / "objects_image.png")


def test_an_object_is_freed_after_a_question(opened: Open, page: Page, hub: PretendedHub) -> None:
    panel = opened("objects")
    rows(panel).nth(0).get_by_role("button").click()
    details = panel.get_by_role("complementary")
    free = details.get_by_role("button", name="Free…")
    free.focus()
    page.keyboard.press("Enter")
    expect(details.get_by_role("group", name=re.compile("Free 64.0 MB"))).to_be_visible()
    expect(details.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(free).to_be_focused()
    assert not [m for m in hub.asked if m["type"] == "act"]
    free.click()
    details.get_by_role("button", name="Free it").click()
    expect(details.get_by_role("status").filter(has_text="Freed.")).to_be_visible()
    (act,) = [m for m in hub.asked if m["type"] == "act"]
    assert (act["action"], act["target"]) == ("free", f"{0:056x}")
    hub.refuses_acts = "no such object"
    rows(panel).nth(1).get_by_role("button").click()
    details.get_by_role("button", name="Free…").click()
    details.get_by_role("button", name="Free it").click()
    expect(details).to_contain_text("no such object")


def test_an_actor_is_killed_after_a_question_and_a_dead_one_says_why(
    opened: Open, page: Page, hub: PretendedHub
) -> None:
    panel = opened("actors")
    rows(panel).nth(3).get_by_role("button").click()
    details = panel.get_by_role("complementary")
    expect(details).to_contain_text("signal 9 (SIGKILL)")
    expect(details.get_by_role("button", name="Kill…")).to_be_hidden()
    rows(panel).nth(0).get_by_role("button").click()
    expect(details.get_by_role("list", name="Methods")).to_contain_text("pull")
    expect(details).to_contain_text("after its driver (detached)")
    details.get_by_role("button", name="Kill…").click()
    details.get_by_role("button", name="Kill it").click()
    expect(details).to_contain_text("Killed.")
    (act,) = [m for m in hub.asked if m["type"] == "act"]
    assert (act["action"], act["target"]) == ("kill_actor", f"{0:032x}")
    page.screenshot(path=SHOTS / "actors.png")
    details.get_by_role("button", name="Its log").click()
    expect(page.locator("#raynb-logs").get_by_role("combobox", name="Process")).to_have_value("worker 5000")


def test_nodes_show_what_of_them_is_used(opened: Open, page: Page) -> None:
    panel = opened("nodes")
    laptop = rows(panel).filter(has_text="laptop (head)")
    expect(laptop.get_by_role("meter", name="CPU slots")).to_have_attribute("aria-valuetext", "6.5 of 8")
    expect(laptop.get_by_role("meter", name="Object store")).to_have_attribute("aria-valuenow", "95")
    laptop.get_by_role("button").click()
    details = panel.get_by_role("complementary")
    expect(details.get_by_role("meter", name="CPU")).to_have_attribute("aria-valuenow", "81")
    expect(details).to_contain_text("zone = attic")
    page.screenshot(path=SHOTS / "nodes.png")


def test_logs_are_searched_by_text_and_process_and_followed(opened: Open, page: Page) -> None:
    panel = opened("logs")
    log = panel.get_by_role("log")
    expect(log).to_contain_text("line 300 has come", timeout=10_000)
    assert log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 2, "the end is in sight"
    page.screenshot(path=SHOTS / "logs.png")
    panel.get_by_role("searchbox").fill("warning")
    panel.get_by_role("button", name="Follow").evaluate("button => button.click()")  # before the search has begun
    expect(log.locator(".raynb-Logs-line")).to_have_count(43)
    expect(panel.get_by_role("status").filter(has_text="43 lines")).to_be_visible()
    panel.get_by_role("combobox", name="Process").select_option("worker 4001")
    expect(log.locator(".raynb-Logs-line")).to_have_count(14)
    panel.get_by_role("searchbox").fill("nowhere")
    expect(panel.get_by_role("status").filter(has_text="No line matches.")).to_be_visible()


def test_names_previews_and_log_lines_of_the_hostile_stay_text(opened: Open, page: Page) -> None:
    actors = opened("actors")
    expect(actors.get_by_role("button", name=HOSTILE)).to_be_visible()
    shown_objects = opened("objects")
    for number in range(7):
        rows(shown_objects).nth(number).get_by_role("button").click()
        expect(shown_objects.get_by_role("region", name="Preview").locator("p").nth(1)).not_to_be_empty()
    logs = opened("logs")
    expect(logs.get_by_role("log")).to_contain_text(HOSTILE)
    shown = logs.get_by_role("log").inner_text()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert page.locator("img[src='x']").count() == 0
    assert page.evaluate("window.hacked === undefined")


def test_no_objects_a_lost_connection_and_unreadable_logs_are_said(opened: Open, page: Page, hub: PretendedHub) -> None:
    hub.silent = True
    panel = opened("objects")
    expect(panel.get_by_role("status").filter(has_text="No objects yet")).to_be_visible()
    hub.silent = False
    hub.tell()
    expect(rows(panel)).to_have_count(50)
    hub.sockets[-1].close()
    expect(panel.locator(".raynb-Strip")).to_contain_text("connection to the cluster is lost")
    expect(rows(panel)).to_have_count(50)
    page.route("**/raynb/api/clusters/*/logs*", lambda route: route.fulfill(status=500, json={"message": "disk gone"}))
    logs = opened("logs")
    expect(logs.get_by_role("status").filter(has_text="The logs can't be read")).to_be_visible()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark High Contrast"])
def test_the_tables_have_no_barriers(opened: Open, page: Page, theme: str) -> None:
    set_theme(page, theme)
    for name, row in (("objects", 0), ("objects", 1), ("objects", 3), ("actors", 3), ("nodes", 0)):
        panel = opened(name)
        rows(panel).nth(row).get_by_role("button").click()
        expect(panel.get_by_role("complementary")).to_be_visible()
        if name == "objects":
            expect(panel.get_by_role("region", name="Preview").locator("p").nth(1)).not_to_be_empty()
        assert barriers(panel) == []
    logs = opened("logs")
    expect(logs.get_by_role("log")).to_contain_text("shard")
    assert barriers(logs) == []
    page.screenshot(path=SHOTS / f"logs_{len(theme)}.png")
