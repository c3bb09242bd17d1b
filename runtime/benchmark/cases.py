"""What is measured: one small function a row, the same for raynb and for Ray.

`child.py` runs it with the interpreter of the system under test, in which the other system need not
exist: it knows the module as ``run.ray``, and imports the standard library and numpy only.

Rules for a row: definitions, warm-up and clean-up stand outside of the timed part; nothing is timed
that the two systems would not both have to do. `table.py` says what a row is called, in which unit
its figure is, and which figure it is held to.
"""

from __future__ import annotations

import gc
import importlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MB = 1_000_000
REPEATS_MAX = 200


@dataclass(frozen=True)
class Run:
    """What a row gets to work with.

    ``ray`` is the module under test and `cpus` the size of its cluster. A timed part is repeated
    until it has taken `budget_s` in all, and the median counts: a chain that takes 20 ms says
    little once. `count` overrides a row's number of tasks (for growth curves).
    """

    ray: Any
    cpus: int = 2
    budget_s: float = 0.5
    count: int | None = None

    def size(self, usual: int) -> int:
        return self.count or usual

    def rate(self, work: Callable[[int], object], usual: int, warm: int | None = None) -> float:
        """Items a second of ``work(n)``, after a smaller ``work`` that nobody measures."""
        n = self.size(usual)
        work(warm or min(n, max(1, usual // 10)))
        return n / self.typical_s(lambda: work(n))

    def typical_s(self, work: Callable[[], object]) -> float:
        """The median duration of ``work()``."""
        taken_s = [seconds(work)]
        while sum(taken_s) < self.budget_s and len(taken_s) < REPEATS_MAX:
            taken_s.append(seconds(work))
        return statistics.median(taken_s)


def seconds(function: Callable[..., object], *args: object) -> float:
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def start(ray: Any, **options: Any) -> Any:
    """A local cluster without a dashboard, quiet, and the mapping that ``init`` returns."""
    return ray.init(include_dashboard=False, logging_level="error", **options)


def nothing() -> None: ...


def one_more(number: int) -> int:
    return number + 1


def compute(duration_s: float) -> None:
    """Keep a core busy: a task that sleeps would leave it to the system under test."""
    until = time.perf_counter() + duration_s
    while time.perf_counter() < until:
        pass


class Echo:
    def answer(self, *_values: object) -> None: ...


# ---- starting ----------------------------------------------------------------------------------


def import_time(run: Run) -> float:
    name = run.ray.__name__
    # The names are touched too, so that a lazy package does not look faster than it is.
    program = (
        "import time; t = time.perf_counter(); "
        f"import {name} as ray; ray.init, ray.remote, ray.get, ray.put, ray.wait; "
        "print(time.perf_counter() - t)"
    )

    def once() -> float:
        return float(subprocess.check_output([sys.executable, "-c", program], text=True))

    once()
    return min(once() for _ in range(3))


def init_time(run: Run) -> float:
    ray = run.ray
    remote = ray.remote(nothing)

    def first_result() -> None:
        start(ray)
        ray.get(remote.remote())

    first_result()  # a second time on this machine: files are in the page cache
    ray.shutdown()
    taken = seconds(first_result)
    ray.shutdown()
    return taken


# ---- tasks -------------------------------------------------------------------------------------


def task_in_turn(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)
    return run.rate(lambda n: [ray.get(task.remote()) for _ in range(n)], 1_000)


def tasks(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)
    return run.rate(lambda n: ray.get([task.remote() for _ in range(n)]), 5_000)


def tasks_busy_driver(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)

    def submit_then_compute(n: int) -> None:
        refs = [task.remote() for _ in range(n)]
        done = threading.Event()

        def wait_for_all() -> None:
            ray.get(refs)
            done.set()

        waiter = threading.Thread(target=wait_for_all)
        waiter.start()
        total = 0
        while not done.is_set():
            for number in range(10_000):
                total += number * number
        waiter.join()

    return run.rate(submit_then_compute, 5_000)


def nested_tasks(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)

    def start_and_wait(n: int) -> None:
        ray.get([task.remote() for _ in range(n)])

    parent = ray.remote(start_and_wait)
    return run.rate(lambda n: ray.get([parent.remote(n // 4) for _ in range(4)]), 1_000)


def chain(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(one_more)

    def links(n: int) -> None:
        value: Any = 0
        for _ in range(n):
            value = task.remote(value)
        assert ray.get(value) == n

    return run.rate(links, 500)


def tree(run: Run) -> float:
    ray, leaf = run.ray, run.ray.remote(one_more)
    add = ray.remote(lambda left, right: left + right)

    def reduce(n: int) -> None:
        leaves = 1 << ((n + 1).bit_length() - 2)
        level = [leaf.remote(0) for _ in range(leaves)]
        while len(level) > 1:
            level = [add.remote(*pair) for pair in zip(level[::2], level[1::2], strict=True)]
        assert ray.get(level[0]) == leaves

    return run.rate(reduce, 2_047)


def streaming_items(run: Run) -> float:
    ray = run.ray

    def numbers(n: int) -> Iterator[int]:
        for number in range(n):
            yield one_more(number)

    generate = ray.remote(num_returns="streaming")(numbers)

    def drain(n: int) -> None:
        assert sum(ray.get(ref) for ref in generate.remote(n)) == n * (n + 1) // 2

    return run.rate(drain, 10_000)


def share_even(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(compute)
    ray.get([task.remote(0.005) for _ in range(40)])

    def all_of_them() -> None:
        ray.get([task.remote(0.005) for _ in range(400)])

    ideal = 400 * 0.005 / run.cpus
    return 100 * ideal / run.typical_s(all_of_them)


def share_uneven(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(compute)
    ray.get([task.remote(0.002) for _ in range(40)])
    durations = [0.002] * 200 + [0.4] + [0.002] * 200

    def all_of_them() -> None:
        ray.get([task.remote(duration) for duration in durations])

    ideal = max(0.4, sum(durations) / run.cpus)
    return 100 * ideal / run.typical_s(all_of_them)


def wait_one_by_one(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)

    def pop_all(n: int) -> None:
        refs = [task.remote() for _ in range(n)]
        while refs:
            _, refs = ray.wait(refs)

    pop_all(100)
    return 1 / run.typical_s(lambda: pop_all(run.size(1_000)))


# ---- actors ------------------------------------------------------------------------------------


def echo_actors(ray: Any, n: int) -> list[Any]:
    """Actors that have answered once."""
    actors = [ray.remote(Echo).remote() for _ in range(n)]
    ray.get([actor.answer.remote() for actor in actors])
    return actors


def actor_in_turn(run: Run) -> float:
    ray, (actor,) = run.ray, echo_actors(run.ray, 1)
    return run.rate(lambda n: [ray.get(actor.answer.remote()) for _ in range(n)], 1_000)


def actor_p99_under_load(run: Run) -> float:
    ray, task, (actor,) = run.ray, run.ray.remote(compute), echo_actors(run.ray, 1)
    ray.get([task.remote(0.001) for _ in range(50)])

    load = [task.remote(0.001) for _ in range(1_000 * run.cpus)]
    until = time.perf_counter() + 0.75  # the load is a second's work: it lasts longer than this
    calls_s = []
    while time.perf_counter() < until:
        calls_s.append(seconds(lambda: ray.get(actor.answer.remote())))
    ray.get(load)
    return 1_000 * sorted(calls_s)[len(calls_s) * 99 // 100]


def actor_calls(run: Run) -> float:
    ray, (actor,) = run.ray, echo_actors(run.ray, 1)
    return run.rate(lambda n: ray.get([actor.answer.remote() for _ in range(n)]), 2_000)


def actors_from_tasks(run: Run) -> float:
    ray, actors = run.ray, echo_actors(run.ray, 2)
    array = ray.put(np.zeros(MB, np.uint8))

    def call_in_turns(boxed: list[Any], n: int) -> None:
        ray.get([actors[call % len(actors)].answer.remote(boxed[0]) for call in range(n)])

    caller = ray.remote(call_in_turns)
    return run.rate(lambda n: ray.get([caller.remote([array], n // 2) for _ in range(2)]), 1_000)


def actors_created(run: Run) -> float:
    n = run.size(20)
    echo_actors(run.ray, 1)
    return n / seconds(echo_actors, run.ray, n)


# ---- objects -----------------------------------------------------------------------------------


def put_small(run: Run) -> float:
    ray = run.ray
    return run.rate(lambda n: [ray.put(0) for _ in range(n)], 2_000)


def put_large_warm(run: Run) -> float:
    ray, array = run.ray, np.ones(100 * MB, np.uint8)

    def put_and_drop() -> None:
        ray.put(array)

    for _ in range(5):
        put_and_drop()
    return 0.1 / run.typical_s(put_and_drop)


def put_large_fresh(run: Run) -> float:
    ray = run.ray
    start(ray, object_store_memory=3_000 * MB)
    ray.get(ray.remote(nothing).remote())
    array = np.ones(100 * MB, np.uint8)
    kept: list[Any] = []
    taken = seconds(lambda: kept.extend(ray.put(array) for _ in range(20)))
    return len(kept) * 0.1 / taken


def get_large(run: Run) -> float:
    ray = run.ray
    ref = ray.put(np.ones(100 * MB, np.uint8))

    def look() -> None:
        ray.get(ref)

    for _ in range(10):
        look()
    return 1e6 * run.typical_s(look)


def store_to_store(run: Run) -> float:
    ray = run.ray
    cluster = importlib.import_module(f"{ray.__name__}.cluster_utils").Cluster()
    for name in ("here", "there"):
        cluster.add_node(num_cpus=1, resources={name: 1}, object_store_memory=1_500 * MB)
    ray.init(address=cluster.address, logging_level="error")
    make = ray.remote(lambda: np.ones(100 * MB, np.uint8)).options(resources={"there": 0.1})
    kept: list[Any] = []
    taken: list[float] = []
    for _ in range(12):
        kept[:] = [make.remote()]
        ray.wait(kept, fetch_local=False)
        taken.append(seconds(ray.wait, kept))
    ray.shutdown()
    cluster.shutdown()
    return 0.1 / statistics.median(taken[4:])


def spill_and_restore(run: Run) -> float:
    ray, array = run.ray, np.ones(100 * MB, np.uint8)
    start(ray, object_store_memory=200 * MB)

    def there_and_back() -> None:
        for ref in [ray.put(array) for _ in range(10)]:
            assert ray.get(ref)[::4096].all()

    return 1 / seconds(there_and_back)


def read_stored(run: Run) -> float:
    ray = run.ray
    stored = ray.put(np.ones(10 * MB, np.uint8))
    read = ray.remote(lambda array: int(array[-1]))
    return run.rate(lambda n: ray.get([read.remote(stored) for _ in range(n)]), 1_000)


def argument_and_result(run: Run) -> float:
    ray = run.ray
    array = np.ones(100_000, np.uint8)
    same = ray.remote(lambda value: value)
    return run.rate(lambda n: ray.get([same.remote(array) for _ in range(n)]), 500)


def return_large(run: Run) -> float:
    ray = run.ray
    make = ray.remote(lambda: np.zeros(10 * MB, np.uint8))
    return run.rate(lambda n: ray.get([make.remote() for _ in range(n)]), 40, warm=40) / 100


def many_arguments(run: Run) -> float:
    ray = run.ray
    refs = [ray.put(number) for number in range(run.size(10_000))]
    count = ray.remote(lambda *values: len(values))
    ray.get(count.remote(*refs[:100]))

    def call() -> None:
        assert ray.get(count.remote(*refs)) == len(refs)

    return run.typical_s(call)


def get_many(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(one_more)
    refs = [task.remote(number) for number in range(run.size(10_000))]
    ray.get(refs)
    return 1 / run.typical_s(lambda: ray.get(refs))


# ---- memory ------------------------------------------------------------------------------------


def parents() -> dict[int, int]:
    """Every process' parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(entry.name)] = int(fields[1])
    return found


def cluster_processes(session_dir: str) -> set[int]:
    """Processes of the session (it is in their command line or environment), and their children.

    This process, the driver, is not one of them.
    """
    name = Path(session_dir).name.encode()
    family = parents()
    found = {os.getpid()}
    for pid in family:
        for file in ("cmdline", "environ"):
            try:
                if name in Path(f"/proc/{pid}/{file}").read_bytes():
                    found.add(pid)
            except OSError:
                continue
    grown = True
    while grown:
        children = {pid for pid, parent in family.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return found - {os.getpid()}


def pss_bytes(pid: int) -> int:
    """Memory of a process, with each shared page divided among those who share it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def idle_memory(run: Run) -> float:
    session_dir = start(run.ray)["session_dir"]
    run.ray.get(run.ray.remote(nothing).remote())
    readings = []  # until it is idle: three readings within one percent
    deadline = time.monotonic() + 15
    pause = threading.Event()
    while time.monotonic() < deadline:
        readings.append(sum(map(pss_bytes, cluster_processes(session_dir))))
        if len(readings) > 3 and max(readings[-3:]) < 1.01 * min(readings[-3:]):
            break
        pause.wait(0.5)
    return readings[-1] / MB


def blocked_by(path: str) -> None:
    """Take a CPU until the other end of the pipe at `path` is closed."""
    with open(path) as pipe:
        pipe.read()


def queued_task_memory(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)
    n = run.size(20_000)
    start(ray, num_cpus=1)
    ray.get([task.remote() for _ in range(1_000)])
    pipe = Path(os.environ.get("TMPDIR", "/tmp"), f"raynb-benchmark-{os.getpid()}")
    os.mkfifo(pipe, 0o600)
    try:
        _blocker = ray.remote(blocked_by).remote(str(pipe))
        with open(pipe, "w"):  # opens when the blocker runs: from here on all tasks queue
            gc.collect()
            before = pss_bytes(os.getpid())
            refs = [task.remote() for _ in range(n)]
            assert len(refs) == n
            return (pss_bytes(os.getpid()) - before) / n
    finally:
        pipe.unlink()


def million_tasks(run: Run) -> float:
    ray, task = run.ray, run.ray.remote(nothing)
    start(ray)
    ray.get([task.remote() for _ in range(1_000)])
    n = run.size(1_000_000)
    return seconds(lambda: ray.get([task.remote() for _ in range(n)]))
