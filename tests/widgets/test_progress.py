"""`progress` on a real cluster, without a notebook."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

import raynb
from raynb.widgets.task_progress import Progress
from raynb.widgets.text import _ANSI
from tests.support.waiting import wait_until


@raynb.remote
def held(number: int, gate: str) -> int:
    while not os.path.exists(gate):
        time.sleep(0.005)
    return number


@raynb.remote(max_retries=0)
def broken(number: int) -> None:
    raise ValueError(f"row {number}")


@raynb.remote
def double(value: int) -> int:
    return 2 * value


@raynb.remote
class Counter:
    def wait(self, gate: str) -> None:
        while not os.path.exists(gate):
            time.sleep(0.005)


def test_it_tells_the_state_of_tasks_and_of_calls_of_actors(cluster: str, gate: Path) -> None:
    counter = Counter.options(num_cpus=0).remote()
    calls = [counter.wait.remote(str(gate)) for _ in range(3)]
    shown = Progress([held.remote(n, str(gate)) for n in range(5)] + calls)
    wait_until(lambda: shown.snapshot.total.running == 3, what="two tasks and one call run")
    assert {bar.name: (bar.running, bar.waiting) for bar in shown.snapshot.bars} == {
        "held": (2, 3),
        "Counter.wait": (1, 2),
    }
    gate.touch()
    wait_until(lambda: shown.status == "done")
    assert {bar.name: bar.done for bar in shown.snapshot.bars} == {"held": 5, "Counter.wait": 3}
    assert repr(shown).startswith("Done: 8 of 8 in ")


def test_what_depends_on_what_failed_fails_with_the_same_traceback(cluster: str) -> None:
    first = broken.remote(1)
    shown = Progress([first, double.remote(first)])
    wait_until(lambda: shown.snapshot.settled)
    assert shown.status == "failed"
    assert {(f.name, f.error, f.count) for f in shown.snapshot.failures} == {
        ("broken", "ValueError: row 1", 1),
        ("double", "ValueError: row 1", 1),
    }
    assert "in broken" in shown.snapshot.failures[0].text


def test_a_hundred_thousand_references_are_no_problem(cluster: str) -> None:
    refs = [double.remote(n) for n in range(100_000)]
    shown = raynb.widgets.progress(refs)
    began = time.monotonic()
    snapshot = shown.snapshot
    assert time.monotonic() - began < 2.0  # on a machine that others use, too
    assert snapshot.total.total == 100_000
    raynb.get(refs)
    assert shown.snapshot.total.done == 100_000
    assert len(repr(shown)) < 1000


def test_the_end_of_the_cluster_ends_it(cluster: str, gate: Path) -> None:
    shown = Progress([held.remote(1, str(gate))])
    raynb.shutdown()
    assert shown.snapshot.total.waiting + shown.snapshot.total.running == 1
    assert shown.status == "stopped"


@pytest.mark.parametrize("given", [7, "text", [1], None])
def test_something_else_than_references_is_refused_by_name(cluster: str, given: object) -> None:
    with pytest.raises(TypeError, match=r"progress\(\) takes references"):
        raynb.widgets.progress(given)


def test_without_a_cluster_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"call init\(\)"):
        raynb.widgets.progress([])


SCRIPT = """
import raynb, sys
raynb.init(num_cpus=2)

@raynb.remote(name="say [bold]hello")
def say(n): return n

refs = [say.remote(n) for n in range(20)]
shown = raynb.widgets.progress(refs)
raynb.get(refs)
while shown.status == "running": pass
print("over", "IPython" in sys.modules)
"""


def test_a_script_draws_bars_if_a_person_looks_at_its_standard_error() -> None:
    terminal, end = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    script = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=end, env=env)
    os.close(end)
    drawn = b""
    with script:
        while select.select([terminal], [], [], 30)[0]:
            try:
                drawn += os.read(terminal, 65536)
            except OSError:  # its other end is closed
                break
        assert script.stdout is not None and script.stdout.read() == b"over False\n"
    os.close(terminal)
    text = _ANSI.sub("", drawn.decode())
    assert re.search(r"say \[bold\]hello .*20 of 20", text)
    assert "Done: 20 of 20 in " in text


def test_a_script_whose_standard_error_is_a_file_draws_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout == "over False\n"
    assert "hello" not in done.stderr and "\x1b" not in done.stderr
