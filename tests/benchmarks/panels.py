"""How JupyterLab's panels do on a run of 100,000 tasks: ``./do bench`` (``python -m tests.benchmarks.panels --help``).

A notebook in a real JupyterLab starts real clusters and runs the tasks; a headless Chromium without a GPU looks on, on
the same processors. What a person does there is done by mouse; times are the page's own clock's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, expect

from raynb.runtime.benchmark import command, parts, report
from tests.benchmarks.looking import PATIENCE_MS, Desk, forget_reads, memory_bytes, read_bytes
from tests.benchmarks.panel_rows import PART, Readings, markdown, terminal_table
from tests.browser.lab import Lab, running_chromium, running_lab
from tests.browser.notebook import NotebookPage

TASKS = 100_000
ROUNDS = 5
ARRAY_BYTES = 10_000_000_000
SHOTS = Path("build", "benchmarks")
GRAPH = "task-graph"

SETUP = """
%load_ext raynb
import time
from pathlib import Path
import numpy as np
import raynb as ray

@ray.remote
def load_shard(number, work_s):
    until = time.perf_counter() + work_s
    while time.perf_counter() < until: pass
    return number

@ray.remote
def clean(shard): return shard

@ray.remote
def features(shard): return shard

@ray.remote
def score(part, shard): return part

@ray.remote
def summarise(*scores): return len(scores)

@ray.remote
def report(*summaries): return sum(summaries)

def groups(refs, size): return [refs[at : at + size] for at in range(0, len(refs), size)]

def run(tasks, work_s=0.0):
    shards = [load_shard.remote(number, work_s) for number in range(tasks * 24 // 100)]
    shards = [clean.remote(shard) for shard in shards]
    scores = [score.remote(features.remote(shard), shard) for shard in shards]
    summaries = [summarise.remote(*group) for group in groups(scores, 8)]
    ray.get([report.remote(*group) for group in groups(summaries, 3)])
"""
START = "ray.shutdown(); ray.init(num_cpus={cpus}, name='bench', object_store_memory={store}, logging_level='error');"
RUN = """
began = time.perf_counter()
run({tasks})
_ = Path({file!r}).write_text(str({tasks} / (time.perf_counter() - began)))
"""
LOOK = "run({tasks}, 0.0002)"
"""A run that lasts while it is looked at."""
PUT = """
ray.shutdown()
ray.init(num_cpus={cpus}, name='bench', object_store_memory={store}, logging_level='error')
large = ray.put(np.zeros((-(-{size} // 80_000), 10_000)))
"""
EXPECTED = {"load_shard": 24, "clean": 24, "features": 24, "score": 24, "summarise": 3, "report": 1}
"""Of each hundred tasks."""


class Session:
    """One notebook beside which panels are opened, and what was measured there."""

    def __init__(self, page: Page, lab: Lab, readings: Readings, rounds: int) -> None:
        self.lab = lab
        self.readings = readings
        self._rounds = rounds
        self.desk = Desk(page)
        self._file = lab.notebooks / "rate"
        cpus = len(os.sched_getaffinity(0))
        start = START.format(cpus=cpus, store=500_000_000)
        run = RUN.format(tasks=readings.tasks, file=str(self._file))
        store = readings.array_bytes + readings.array_bytes // 20
        put = PUT.format(cpus=cpus, store=store, size=readings.array_bytes)
        cells = [SETUP, *[start, run] * (2 * rounds), start, LOOK.format(tasks=readings.tasks), put, "ray.shutdown()"]
        self._notebook = NotebookPage(page, lab, "bench", cells)
        self._next = count()
        page.evaluate("jupyterapp.shell.collapseLeft()")
        self.run_next()

    def run_next(self) -> None:
        self._notebook.run(next(self._next))

    def start_next(self) -> int:
        """Have the next cell run; its number."""
        number = next(self._next)
        self._notebook.start(number)
        return number

    def wait_for(self, number: int) -> None:
        self._notebook.expect_done(number)

    # -- with and without

    def compare(self, first: bool) -> None:
        """Two runs of the tasks, each on a cluster of its own: one of them with the task graph open."""
        rates = {watched: self._rate(watched) for watched in (first, not first)}
        self.readings.add("rate_with", rates[True])
        self.readings.add("rate_without", rates[False])
        self.readings.add("share", 100 * rates[True] / rates[False])

    def _rate(self, watched: bool) -> float:
        if watched:
            self.desk.open(GRAPH)
        self.run_next()
        if watched:  # it has turned to the new cluster
            notice = self.desk.page.locator(f"#raynb-{GRAPH} .raynb-Notice")
            expect(notice).to_contain_text("No tasks yet", timeout=PATIENCE_MS)
        self.run_next()
        if watched:
            self._count()
            self.desk.close(GRAPH)
        return float(self._file.read_text())

    def _count(self) -> None:
        self.desk.wait_for_tasks(self.readings.tasks)
        counts = self.desk.counts()
        expected = {name: [0, 0, 0, 0, self.readings.tasks * n // 100, 0] for name, n in EXPECTED.items()}
        wrong = [name for name in expected.keys() | counts.keys() if counts.get(name) != expected.get(name)]
        self.readings.add("miscounted", len(wrong))

    # -- looking

    def look_while_they_run(self) -> None:
        """The panel is opened in the midst of a run, and moved."""
        desk, add = self.desk, self.readings.add
        self.run_next()
        number = self.start_next()
        add("paint_running", desk.first_paint_s(GRAPH))
        add("pan_running", desk.panned(GRAPH))
        add("zoom_running", desk.zoomed(GRAPH))
        desk.shot(SHOTS, "running")
        self.wait_for(number)
        desk.wait_for_tasks(self.readings.tasks)
        desk.close(GRAPH)

    def look(self) -> None:
        """The panels are opened on a run that is over, and moved."""
        desk, add = self.desk, self.readings.add
        for _ in range(self._rounds):
            add("paint", desk.first_paint_s(GRAPH))
            add("pan", desk.panned(GRAPH))
            add("zoom", desk.zoomed(GRAPH))
            desk.close(GRAPH)
        desk.open(GRAPH)
        desk.wait_for_tasks(self.readings.tasks)
        desk.shot(SHOTS, "task_graph")
        desk.show_single_tasks()
        add("pan_tasks", desk.panned(GRAPH))
        desk.shot(SHOTS, "single_tasks")
        desk.close(GRAPH)
        for _ in range(self._rounds):
            add("paint_timeline", desk.first_paint_s("timeline"))
            add("pan_timeline", desk.panned("timeline"))
            add("zoom_timeline", desk.zoomed("timeline"))
            desk.shot(SHOTS, "timeline")
            desk.close("timeline")

    def look_into_the_array(self) -> None:
        desk, add = self.desk, self.readings.add
        self.run_next()
        for _ in range(self._rounds):
            desk.open("objects")
            rows = desk.page.locator("#raynb-objects .raynb-Table-stage tbody tr")
            expect(rows).to_have_count(1, timeout=PATIENCE_MS)
            forget_reads(self.lab.pid)
            add("preview", 1000 * desk.preview_s())
            add("preview_bytes", read_bytes(self.lab.pid) / 1e6)
            desk.shot(SHOTS, "preview")
            desk.close("objects")

    def end(self) -> None:
        self.run_next()


def array_bytes(wanted: int) -> int:
    """As much of it as fits into memory and into shared memory, with room for the others."""
    shm = os.statvfs("/dev/shm")
    return min(wanted, int(0.6 * memory_bytes()["MemAvailable"]), int(0.8 * shm.f_bavail * shm.f_frsize))


@contextlib.contextmanager
def opened(readings: Readings, rounds: int) -> Iterator[Session]:
    """A JupyterLab, a Chromium, and a notebook in both."""
    home = TemporaryDirectory(prefix="raynb-bench-")
    with home, running_lab(Path(home.name)) as lab, running_chromium() as browser:
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        try:
            yield Session(page, lab, readings, rounds)
        finally:
            page.close()


def measure(tasks: int, rounds: int, wanted_bytes: int) -> Readings:
    readings = Readings(tasks, array_bytes(wanted_bytes))
    with opened(readings, rounds) as session:
        for number in range(rounds):
            session.compare(first=bool(number % 2))
            tell(readings, "rate_without", "rate_with", "share")
        session.look_while_they_run()
        tell(readings, "paint_running", "pan_running", "zoom_running")
        session.look()
        tell(readings, "paint", "pan", "zoom", "pan_tasks", "paint_timeline", "pan_timeline", "zoom_timeline")
        session.look_into_the_array()
        session.end()
    return readings


def tell(readings: Readings, *keys: str) -> None:
    print("  ".join(f"{key} {report.figure(readings.values[key][-1])}" for key in keys), file=sys.stderr, flush=True)


def main(words: list[str] | None = None) -> int:
    options = argparse.ArgumentParser("python -m tests.benchmarks.panels", description=__doc__)
    options.add_argument("--tasks", type=int, default=TASKS, help="of a run, in 2,400s (default: %(default)s)")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of runs, and looks (default: %(default)s)")
    options.add_argument("--array-gb", type=float, default=ARRAY_BYTES / 1e9, help="at most (default: %(default)s)")
    options.add_argument("--markdown", type=Path, help="a page whose part on panels is to be written anew")
    asked = options.parse_args(words)
    facts = report.machine()
    readings = measure(asked.tasks, asked.rounds, int(asked.array_gb * 1e9))
    command.default_console().print(terminal_table(readings))
    print(f"How it looked: {SHOTS}/")
    if asked.markdown is not None:
        text = markdown(readings, asked.rounds, "./do bench --markdown docs/performance.md", facts)
        parts.write(asked.markdown, PART, text)
        print(f"Written to {asked.markdown}")
    return int(readings.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
