"""The panels on a real cluster that a notebook has started, with what the hub really tells."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import SHOTS, Lab
from tests.browser.notebook import PATIENCE_MS, NotebookPage

CELLS = [
    "import numpy as np, time\nimport raynb as ray\nray.init(num_cpus=2);",
    """
@ray.remote
def square(x):
    time.sleep(0.02)
    return x * x

@ray.remote(max_retries=0)
def fails(x):
    print('about to fail')
    raise ValueError('no <b>labels</b>')

@ray.remote
class Counter:
    def __init__(self): self.n = 0
    def add(self, k):
        self.n += k
        return self.n
""",
    """
grid = ray.put(np.arange(300_000.0).reshape(1000, 300))
counter = Counter.options(name='shared').remote()
squares = [square.remote(i) for i in range(40)]
sums = [counter.add.remote(i) for i in range(10)]
ray.wait([fails.remote(1)]); ray.get(squares + sums)[-1]
""",
    "ray.shutdown()",
]


def test_what_a_notebook_ran_is_in_every_panel(page: Page, lab: Lab) -> None:
    notebook = NotebookPage(page, lab, "panels", CELLS)
    for number in range(3):
        notebook.run(number)

    def opened(name: str) -> None:
        page.evaluate("name => void jupyterapp.commands.execute(`raynb:open-${name}`)", name)

    opened("timeline")
    timeline = page.locator("#raynb-timeline")
    for name in ("square", "fails"):
        expect(timeline.get_by_role("button", name=name, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(timeline.get_by_role("status").filter(has_text="tasks in sight")).to_have_text(re.compile("5[12] tasks"))
    timeline.get_by_role("listbox", name="Timeline").focus()
    page.keyboard.press("+")
    expect(timeline.get_by_role("complementary")).to_contain_text("after the start")
    page.screenshot(path=SHOTS / "real_timeline.png")

    opened("objects")
    objects = page.locator("#raynb-objects")
    row = objects.locator(".raynb-Table-stage tbody tr").filter(has_text="2.4 MB")
    row.get_by_role("button").click()
    expect(objects.get_by_role("complementary")).to_contain_text("in shared memory")
    page.screenshot(path=SHOTS / "real_objects.png")

    opened("actors")
    actors = page.locator("#raynb-actors")
    actors.locator("tbody tr").filter(has_text="Counter").get_by_role("button").click()
    expect(actors.get_by_role("complementary")).to_contain_text("alive")
    page.screenshot(path=SHOTS / "real_actors.png")

    opened("nodes")
    nodes = page.locator("#raynb-nodes")
    expect(nodes.get_by_role("meter", name="CPU slots")).to_have_attribute("aria-valuetext", re.compile("of 2"))
    page.screenshot(path=SHOTS / "real_nodes.png")

    opened("logs")
    logs = page.locator("#raynb-logs")
    expect(logs.get_by_role("log")).to_contain_text("about to fail", timeout=PATIENCE_MS)
    page.screenshot(path=SHOTS / "real_logs.png")
    notebook.run(3)


def test_an_object_is_held_by_names_of_the_notebook_that_has_them(page: Page, lab: Lab) -> None:
    first = NotebookPage(
        page,
        lab,
        "first",
        [
            "%load_ext raynb\nimport numpy as np\nimport raynb as ray\nray.init(num_cpus=1, name='both');",
            "df = ray.put(np.arange(300_000.0))",
        ],
    )
    first.run(0)
    first.run(1)
    cells = ["%load_ext raynb\nimport raynb as ray\nray.init(address='both');", "df = [ray.put(bytes(500_000))]"]
    second = NotebookPage(page, lab, "second", cells)
    try:
        second.run(0)
        page.evaluate("void jupyterapp.commands.execute('raynb:open-objects')")
        rows = page.locator("#raynb-objects .raynb-Table-stage tbody tr")
        expect(rows.filter(has_text="2.4 MB")).to_contain_text("df", timeout=PATIENCE_MS)
        second.run(1)
        expect(rows.filter(has_text="bytes")).to_contain_text("df[0] in second.ipynb", timeout=PATIENCE_MS)
        expect(rows.filter(has_text="2.4 MB")).to_contain_text("df in first.ipynb", timeout=PATIENCE_MS)
        page.screenshot(path=SHOTS / "real_two_notebooks.png")
    finally:
        headers = {"Authorization": f"token {lab.token}"}
        for cluster in page.request.get(f"{lab.url}raynb/api/clusters", headers=headers).json()["clusters"]:
            page.request.delete(f"{lab.url}raynb/api/clusters/{cluster['id']}", headers=headers)
