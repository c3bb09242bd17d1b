"""What looking at a run costs does not grow with the run: bytes to the browser and the Jupyter server's memory."""

from __future__ import annotations

from pathlib import Path

from raynb.runtime.messages import screen
from tests.server_extension.conftest import Driven
from tests.server_extension.jupyter import Screen, Server

FEW, MANY = 1_000, 100_000
BATCH = 10_000
GROWTH_MAX = 2.0
VIEWS: tuple[screen.View, ...] = (
    screen.GraphView(),
    screen.GraphView(by="cell"),
    screen.GraphView(by="task"),
    screen.TimelineView(),
    screen.TableView("tasks"),
    screen.TableView("workers"),
    screen.SummaryView(),
    screen.CellsView(),
)
PARTS = """
@ray.remote
def part(x): return x

@ray.remote
def joined(x, y): return x

def run(count):
    refs = [part.remote(n) for n in range(count // 2)]
    ray.get([joined.remote(ref, 1) for ref in refs])
"""


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def see_all(window: Screen, tasks: int) -> None:
    """Wait until each view has shown the whole run."""
    window.until(lambda: window.states[6].tasks_finished == tasks, 60)
    window.until(lambda: sum(window.states[3].spans.count) == tasks, 60)
    window.until(lambda: window.states[0].tasks == window.states[4].total == tasks, 60)


def look(cluster: Driven, tasks: int) -> int:
    """Bytes that a window which is opened now is sent until it shows all of the run."""
    window = cluster.screen()
    for number, view in enumerate(VIEWS):
        window.subscribe(view, number)
    see_all(window, tasks)
    assert window.states[3].left_out == 0 and window.states[0].dropped == 0
    window.close()
    return window.received


def test_looking_costs_the_same_at_a_thousand_and_at_a_hundred_thousand_tasks(server: Server, cluster: Driven) -> None:
    cluster.run(PARTS)
    watcher = cluster.screen()
    for number, view in enumerate(VIEWS):
        watcher.subscribe(view, number)
    cluster.run(f"run({FEW})")
    see_all(watcher, FEW)
    few_bytes, few_memory = look(cluster, FEW), resident_bytes(server.process.pid)
    done, before = FEW, watcher.received
    while done < MANY:
        cluster.run(f"run({min(BATCH, MANY - done)})")
        done += min(BATCH, MANY - done)
        see_all(watcher, done)
    running_bytes = watcher.received - before
    many_bytes, many_memory = look(cluster, MANY), resident_bytes(server.process.pid)
    print(f"\nbytes to a window that is opened: {few_bytes:,} at {FEW:,} tasks, {many_bytes:,} at {MANY:,}")
    print(f"bytes to one that has watched the other {MANY - FEW:,} tasks: {running_bytes:,}")
    print(f"memory of the Jupyter server: {few_memory / 1e6:.1f} MB, then {many_memory / 1e6:.1f} MB")
    assert many_bytes < GROWTH_MAX * few_bytes
    assert many_memory < GROWTH_MAX * few_memory
    assert running_bytes < 200 * (MANY - FEW), "more than some bytes a task"
