"""A whole cluster whose control store is killed: what runs goes on, what waits is served soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.leaks import processes_of, shared_memory_of
from tests.support.waiting import wait_until

PROGRAM = """
import json, os, signal, sys, time
import raynb
from raynb.runtime.adapters.registry import clusters

raynb.init(num_cpus=2)
entry = clusters()[-1]

def victim(name):
    while True:
        for thread in os.listdir(f"/proc/{entry.pid}/task"):
            for pid in open(f"/proc/{entry.pid}/task/{thread}/children").read().split():
                if name in open(f"/proc/{pid}/cmdline").read():
                    return int(pid)
        time.sleep(0.01)

@raynb.remote
def square(x):
    return x * x

@raynb.remote
class Counter:
    def __init__(self):
        self.n = 0
    def increment(self):
        self.n += 1
        return self.n
    def pid(self):
        return os.getpid()

counter = Counter.options(name="counter", max_restarts=1, max_task_retries=1).remote()
assert raynb.get(counter.increment.remote()) == 1
figures = {}
for name in ("gcs", "redis-server"):
    os.kill(victim(name), signal.SIGKILL)
    began = time.monotonic()
    assert raynb.get([square.remote(n) for n in range(50)]) == [n * n for n in range(50)]
    raynb.get(counter.increment.remote())
    figures[f"{name}: tasks and calls"] = time.monotonic() - began
    assert raynb.get(raynb.get_actor("counter").pid.remote()) == raynb.get(counter.pid.remote())
    assert raynb.get(Counter.remote().increment.remote(), timeout=20) == 1
    figures[f"{name}: names and new actors"] = time.monotonic() - began
assert raynb.get(counter.increment.remote()) == 4
pid = raynb.get(counter.pid.remote())
for name in ("gcs", "redis-server"):
    os.kill(victim(name), signal.SIGKILL)
os.kill(pid, signal.SIGKILL)
began = time.monotonic()
assert raynb.get(counter.increment.remote(), timeout=20) == 1
figures["all at once: a restarted actor"] = time.monotonic() - began

deadline = time.monotonic() + 10
from raynb.runtime.adapters.request import Requester
with Requester(entry.session_dir) as guest:
    while True:
        page = guest.query(entry.gcs_address, "task_summary")
        counts = {row["func_or_class_name"]: row["state_counts"] for row in page["rows"]}
        if counts.get("square") == {"FINISHED": 100}:
            break
        assert time.monotonic() < deadline, counts
        time.sleep(0.05)
print(json.dumps({"figures": figures, "session": os.path.basename(entry.session_dir)}), flush=True)
"""


@pytest.mark.timeout(120)
def test_tasks_and_calls_do_not_notice_and_the_rest_is_back_within_ten_seconds() -> None:
    with tempfile.TemporaryDirectory(prefix="raynb-") as home:
        env = {**os.environ, "TMPDIR": home, "JUPYTER_RUNTIME_DIR": str(Path(home) / "jupyter")}
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=env, timeout=100)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        figures: dict[str, float] = told["figures"]
        assert all(seconds < 10 for seconds in figures.values()), figures
        # Nothing of a task's or a call's way goes through what was killed.
        assert all(seconds < 3 for name, seconds in figures.items() if "tasks and calls" in name), figures
        wait_until(lambda: not processes_of(told["session"]), 10, "the cluster's end")
        assert not shared_memory_of(told["session"])
