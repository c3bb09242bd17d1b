"""Whoever means harm, in a real browser before a real cluster: by previews, names and log lines, without the token, and
from another origin."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from tests.browser.conftest import SHOTS, Lab
from tests.browser.hostile import ELSEWHERE, HOSTILE, LIES, MARKUP
from tests.browser.notebook import PATIENCE_MS
from tests.browser.others_run import Run, opened, page, run
from tests.browser.test_others_runs import function, rows
from tests.browser.test_task_graph import click_node

__all__ = ["page", "run"]  # fixtures

PREPARED = """
import json
import pandas as pd
hostile = json.loads({hostile!r})

@ray.remote
def says(text): print(text, flush=True); return text

@ray.remote(max_retries=0)
def fails(text): raise ValueError(text)

class Drawn:
    def __init__(self, text): self.text = text
    def __repr__(self): return self.text
    def _repr_html_(self): return self.text

class Svg:
    def _repr_svg_(self):
        return '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><script>parent.hacked=1</script></svg>'

made = [says.options(name=text).remote(text) for text in hostile]
failed = [fails.options(name=text).remote(text) for text in hostile]
ray.get(made); ray.wait(failed, num_returns=len(failed))
actors = [Counter.options(name=text, num_cpus=0).remote() for text in hostile[:8]]
ray.get([actor.add.remote() for actor in actors])
kinds = [str, lambda text: {{text: text}}, Drawn, lambda text: text.encode(), lambda text: [text]]
previewed = [ray.put(kinds[number % len(kinds)](text)) for number, text in enumerate(hostile)]
previewed += [ray.put(pd.DataFrame({{text: [text]}})) for text in hostile[:5]] + [ray.put(Svg())]
answer = len(previewed)
"""
HARM = """() => {
    const inside = [...document.querySelectorAll('[id^=raynb-], .raynb-CellMark, .raynb-Status')];
    const found = inside.flatMap(panel => [...panel.querySelectorAll('*')]);
    const short = elements => elements.map(each => each.outerHTML.slice(0, 100));
    const runs = /^(script|iframe|object|embed|style|link|base|meta|form|marquee|math|video|audio)$/i;
    const does = ({ name, value }) => /^on/i.test(name)
        || (/^(href|src|action|formaction|data|poster)$/.test(name) && !/^(data:image|blob:)/.test(value));
    // An id that is never shown is as it is.
    const attributes = found.flatMap(each => [...each.attributes]).filter(({ name }) => !name.startsWith('data-'));
    const texts = found.flatMap(each => [...each.childNodes]).filter(node => node.nodeType === Node.TEXT_NODE);
    return {
        hacked: window.hacked ?? null,
        elements: short(found.filter(each => runs.test(each.tagName))),
        attributes: short(found.filter(each => [...each.attributes].some(does))),
        texts: [...texts, ...attributes].map(node => node.nodeValue)
    };
}"""


class Watched:
    """What a page did that it should not: dialogs, requests elsewhere, other pages, errors."""

    def __init__(self, page: Page, lab: Lab) -> None:
        self.page = page
        self.seen: list[str] = []
        page.on("dialog", self.close)
        page.on("popup", lambda popup: self.seen.append(f"popup {popup.url}"))
        page.on("request", lambda request: self.note(request.url, lab))

    def close(self, dialog: Dialog) -> None:
        self.seen.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def note(self, url: str, lab: Lab) -> None:
        if not url.startswith((lab.url, "data:", "blob:")):
            self.seen.append(f"request {url}")

    def expect_no_harm(self) -> None:
        found: dict[str, Any] = self.page.evaluate(HARM)
        assert found["hacked"] is None
        assert not found["elements"] and not found["attributes"]
        assert not [text for text in found["texts"] if any(lie in text for lie in LIES)]
        assert not self.seen


def next_page(panel: Locator) -> bool:
    """Whether there is one; then it is shown."""
    button = panel.get_by_role("button", name="Next page")
    before = rows(panel).first.get_attribute("data-row")
    assert before
    if button.is_disabled():
        return False
    button.click()
    expect(rows(panel).first).not_to_have_attribute("data-row", before)
    return True


@pytest.mark.timeout(240)
def test_hostile_previews_names_and_log_lines_stay_text(page: Page, lab: Lab, run: Run) -> None:
    watched = Watched(page, lab)
    previews = run.run(PREPARED.format(hostile=json.dumps(HOSTILE)))
    graph = opened(page, "task-graph")
    expect(function(graph, MARKUP[0]).first).to_be_attached(timeout=PATIENCE_MS)
    for text in MARKUP[:5]:
        click_node(graph, f"NORMAL_TASK:{text}")
        details = graph.get_by_role("complementary", name="The selected node")
        expect(details.get_by_role("heading", name=text)).to_be_visible()
    watched.expect_no_harm()
    page.screenshot(path=SHOTS / "hostile_graph.png")

    timeline = opened(page, "timeline")
    expect(timeline.get_by_role("button", name=re.compile("hacked=1")).first).to_be_visible(timeout=PATIENCE_MS)
    watched.expect_no_harm()
    actors = opened(page, "actors")
    expect(rows(actors).filter(has_text=MARKUP[2])).to_have_count(1)
    rows(actors).filter(has_text=MARKUP[2]).get_by_role("button").click()
    watched.expect_no_harm()
    logs = opened(page, "logs")
    expect(logs.get_by_role("log")).to_contain_text(MARKUP[3], timeout=PATIENCE_MS)
    watched.expect_no_harm()

    objects = opened(page, "objects")
    preview = objects.get_by_role("region", name="Preview")
    looked = 0
    while True:
        for row in rows(objects).all():
            row.get_by_role("button").first.click()
            if preview.count():
                expect(preview.get_by_role("status").first).to_have_text("", timeout=PATIENCE_MS)
                looked += 1
        watched.expect_no_harm()
        if not next_page(objects):
            break
    assert looked >= previews
    page.screenshot(path=SHOTS / "hostile_objects.png")


# -- without the token


READS = """async base => {
    const answers = {};
    for (const path of ['version', 'clusters', 'clusters/x', 'clusters/x/tasks', 'clusters/x/logs']) {
        const answer = await fetch(`${base}raynb/api/${path}`);
        answers[path] = [answer.status, (await answer.text()).includes('raynb 0')];
    }
    const socket = new WebSocket(`${base.replace('http', 'ws')}raynb/api/clusters/x/views`);
    answers.views = await new Promise(done => {
        socket.onopen = () => done('open');
        socket.onerror = () => done('refused');
    });
    return answers;
}"""


def test_a_page_without_the_token_is_told_nothing(browser: Browser, lab: Lab, run: Run) -> None:
    (cluster,) = [each["id"] for each in run.request("GET")["clusters"]]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{lab.url}login")
    answers = page.evaluate(READS.replace("clusters/x", f"clusters/{cluster}"), lab.url)
    context.close()
    assert answers.pop("views") == "refused"
    assert set(map(tuple, answers.values())) == {(403, False)}, answers


# -- from another origin


class Evil(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body></body>")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def evil() -> Iterator[str]:
    """Where another origin of the same site is: cookies of the Jupyter server are sent along from its pages."""
    server = HTTPServer(("127.0.0.1", 0), Evil)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


TRIES = """async ([base, cluster]) => {
    const api = `${base}raynb/api/`;
    const attempt = async (path, options) => {
        try {
            const answer = await fetch(api + path, { credentials: 'include', ...options });
            return [answer.type, answer.status, (await answer.text()).length];
        } catch (error) {
            return ['error', 0, 0];
        }
    };
    const scale = JSON.stringify({ num_cpus: 9 });
    const found = {
        list: await attempt('clusters', {}),
        tasks: await attempt(`clusters/${cluster}/tasks`, {}),
        blind_list: await attempt('clusters', { mode: 'no-cors' }),
        scale: await attempt(`clusters/${cluster}/scale`, { method: 'POST', body: scale }),
        blind_scale: await attempt(`clusters/${cluster}/scale`, { method: 'POST', body: scale, mode: 'no-cors' }),
        json_scale: await attempt(`clusters/${cluster}/scale`,
            { method: 'POST', body: scale, headers: { 'Content-Type': 'application/json', 'X-XSRFToken': 'guessed' } }),
        stop: await attempt(`clusters/${cluster}`, { method: 'DELETE' })
    };
    const socket = new WebSocket(`${api.replace('http', 'ws')}clusters/${cluster}/views`);
    found.views = await new Promise(done => {
        socket.onopen = () => done('open');
        socket.onerror = () => done('refused');
    });
    const told = [];
    for (const [tag, attribute] of [['script', 'src'], ['img', 'src'], ['link', 'href']]) {
        const element = document.createElement(tag);
        element[attribute] = `${api}clusters`;
        if (tag === 'link') {
            element.rel = 'stylesheet';
        }
        const done = new Promise(end => {
            element.onload = () => end('loaded');
            element.onerror = () => end('error');
        });
        document.body.append(element);
        told.push([tag, await done]);
    }
    found.elements = told;
    return found;
}"""
FORM = """([base, cluster]) => {
    const form = document.createElement('form');
    const action = `${base}raynb/api/clusters/${cluster}/scale`;
    Object.assign(form, { method: 'post', enctype: 'text/plain', action });
    const field = document.createElement('input');
    Object.assign(field, { name: '{"num_cpus": 9, "x": "', value: '"}' });
    form.append(field);
    document.body.append(form);
    form.submit();
}"""


def test_a_page_of_another_origin_reads_nothing_and_changes_nothing(
    browser: Browser, lab: Lab, run: Run, evil: str
) -> None:
    (cluster,) = [each["id"] for each in run.request("GET")["clusters"]]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{lab.url}login?token={lab.token}&next=/user/ada/api")  # this browser has logged in: it has the cookie
    assert context.request.get(f"{lab.url}raynb/api/clusters").status == 200
    page.goto(evil)
    found = page.evaluate(TRIES, [lab.url, cluster])
    assert found.pop("views") == "refused"
    assert [tag for tag, said in found.pop("elements") if said == "loaded"] in ([], ["script"])
    assert page.title() == "evil" and page.evaluate("document.body.innerText") == ""
    assert {tuple(answer) for answer in found.values()} <= {("error", 0, 0), ("opaque", 0, 0)}, found

    with page.expect_navigation() as navigation:
        page.evaluate(FORM, [lab.url, cluster])
    assert navigation.value is not None and navigation.value.status in (403, 404)
    page.goto(evil)
    page.evaluate("url => document.body.innerHTML = `<iframe src='${url}'></iframe>`", f"{lab.url}lab")
    page.wait_for_function("document.querySelector('iframe').contentDocument === null")
    framed = page.frames[-1]
    assert "jupyter" not in framed.content().lower() or framed.url.startswith("chrome-error:")
    context.close()
    nodes = run.request("GET", f"/{cluster}/nodes?detail=1")["rows"]
    assert nodes[0]["resources_total"]["CPU"] == 2
    assert ELSEWHERE not in json.dumps(nodes)
