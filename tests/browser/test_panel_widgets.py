"""The panels inside a notebook's cells, in JupyterLab and in Notebook 7, with a real kernel and cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import barriers
from tests.browser.conftest import Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage

START = "%load_ext raynb\nimport numpy as np, os, time\nimport raynb as ray\nray.init(num_cpus=2, name='test');"
FUNCTIONS = """
@ray.remote
def square(x): return x * x

@ray.remote
def add(*xs): return sum(xs)

@ray.remote
def held(gate):
    while not os.path.exists(gate): time.sleep(0.01)

@ray.remote
class Counter:
    def add(self, k): return k
"""
END = "ray.shutdown()"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    yield page
    page.close()


@pytest.mark.parametrize("front_end", ["lab", "notebook"])
def test_a_graph_and_a_timeline_live_while_the_kernel_is_busy_and_stay_as_pictures(
    page: Page, lab: Lab, tmp_path: Path, front_end: str
) -> None:
    gate = tmp_path / "gate"
    cells = [
        START,
        FUNCTIONS,
        "total = add.remote(*[square.remote(i) for i in range(9)])\nray.get(total)\nray.widgets.TaskGraph()",
        "ray.widgets.Timeline()",
        f"ray.get(held.remote({str(gate)!r}))",
        END,
    ]
    notebook = NotebookPage(page, lab, f"screens_{front_end}", cells, front_end)
    for number in range(4):
        notebook.run(number)
    graph, timeline = notebook.output(2), notebook.output(3)
    nodes = graph.get_by_role("listbox", name="Task graph").get_by_role("option")
    expect(nodes.filter(has_text=re.compile("^square"))).to_contain_text("9 finished", timeout=PATIENCE_MS)
    expect(timeline.get_by_role("button", name="square", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    notebook.start(4)
    expect(nodes.filter(has_text=re.compile("^held"))).to_contain_text("1 runs", timeout=PATIENCE_MS)
    expect(timeline.get_by_role("button", name="held", exact=True)).to_be_visible()
    notebook.shot(graph, f"widget_graph_{front_end}")
    notebook.shot(timeline, f"widget_timeline_{front_end}")
    assert barriers(graph) == []
    assert barriers(timeline) == []
    gate.touch()
    notebook.expect_done(4)
    notebook.run(5)
    for output in (graph, timeline):  # a picture, which needs no kernel
        expect(output.locator(".jp-RenderedSVG")).to_be_visible(timeout=PATIENCE_MS)
    expect(graph.locator(".raynb-Screen")).to_have_count(0)
    notebook.shot(graph, f"widget_graph_picture_{front_end}")
    saved = notebook.save()
    for number, words in ((2, "held: 1 finished"), (3, "lane")):
        (output,) = saved[number]
        assert set(output["data"]) == {"image/svg+xml", "text/plain"}
        assert words in "".join(output["data"]["text/plain"])
        assert "".join(output["data"]["image/svg+xml"]).startswith("<svg ")


def test_objects_and_actors_are_looked_into_in_a_cell(page: Page, lab: Lab) -> None:
    cells = [
        START,
        FUNCTIONS,
        "grid = ray.put(np.arange(60_000.0).reshape(200, 300))\nray.widgets.inspect(grid)",
        "counter = Counter.options(name='shared').remote()\nray.get(counter.add.remote(1))\n"
        "ray.widgets.ActorPanel(counter)",
        "ray.widgets.Objects()",
        END,
    ]
    notebook = NotebookPage(page, lab, "looks", cells)
    for number in range(5):
        notebook.run(number)
    look = notebook.output(2).get_by_role("complementary")
    expect(look).to_contain_text("in shared memory", timeout=PATIENCE_MS)
    preview = look.get_by_role("region", name="Preview")
    expect(preview).to_contain_text("float64 200", timeout=PATIENCE_MS)
    expect(preview.get_by_role("img", name=re.compile("Histogram of 60,000 values"))).to_be_visible()
    expect(look.get_by_text("in shared memory")).to_be_visible()
    notebook.shot(notebook.output(2), "widget_inspect")
    actor = notebook.output(3).get_by_role("complementary")
    expect(actor).to_contain_text("shared")
    actor.get_by_role("button", name="Kill…").click()
    actor.get_by_role("button", name="Kill it").click()
    expect(actor).to_contain_text(re.compile("state\\s*dead"), timeout=PATIENCE_MS)
    notebook.shot(notebook.output(3), "widget_actor")
    objects = notebook.output(4)
    expect(objects.locator("tbody tr").filter(has_text="480.3 kB")).to_be_visible()
    assert barriers(objects) == []
    notebook.run(5)
    expect(notebook.output(4).locator(".raynb-Screen")).to_have_count(0)
    assert "480.3 kB" in "".join(notebook.save()[4][0]["data"]["text/html"])
