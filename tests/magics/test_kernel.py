"""In a real kernel: what a cell's task shows lands in that cell, whichever cell runs by then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel, notebook_kernel

THROUGH = """
def through(value, gate):
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.005)
    return value
"""
GET_CANCELLED = """
try:
    ray.get({})
except ray.exceptions.TaskCancelledError:
    print('cancelled')
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with raynb loaded and a cluster of two CPUs."""
    with notebook_kernel(THROUGH) as made:
        yield made


def test_the_value_of_a_cell_lands_in_it_while_another_runs(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kernel.run(f"gate = {str(gate)!r}")
    first = kernel.run("%%remote\nx = through(20, gate)\nprint('from the task')\nx + 1")
    [waiting] = kernel.shown(first)
    assert waiting.endswith("is running")
    busy = kernel.send(f"import os, time\nopen({str(gate)!r}, 'w').close()\nray.get(x)\nprint('busy')\nray.get(x)")
    kernel.wait_until(lambda: kernel.is_done(busy) and kernel.shown(first) == ["21"])
    kernel.wait_until(lambda: "from the task" in kernel.printed(first))
    assert "from the task" not in kernel.printed(busy)
    assert kernel.printed(busy).strip() == "busy"


def test_the_failure_of_a_task_lands_in_its_cell_with_its_line(kernel: Kernel) -> None:
    failing = kernel.run("%%remote\ny = 1\n\nz = y / 0  # here")
    kernel.wait_until(lambda: kernel.errors(failing))
    errors = kernel.errors(failing)
    number = kernel.of(failing, "execute_input")[0]["execution_count"]
    assert f"Cell In[{number}], line 4" in errors and "z = y / 0  # here" in errors and "ZeroDivisionError" in errors
    after = kernel.run("1 + 1")
    assert not kernel.errors(after)
    asked = kernel.run("ray.get(z)")
    assert "line 4" in kernel.errors(asked)


def test_what_is_refused_is_an_error_of_the_cell_in_a_few_lines(kernel: Kernel) -> None:
    refused = kernel.run("%%remote\nq = undefined_here")
    assert "line 2: `undefined_here` is defined neither" in kernel.errors(refused)
    assert "run_cell" not in kernel.errors(refused)


def test_running_a_cell_again_cancels_its_last_run(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kernel.run(f"gate = {str(gate)!r}")
    cell = "%%remote\nw = through('slow', gate) if slow else 'quick'"
    kernel.run("slow = True")
    kernel.run(cell, cell_id="one")
    kernel.run("old, slow = w, False")
    kernel.run(cell, cell_id="one")
    asked = kernel.run("print(ray.get(w))" + GET_CANCELLED.format("old"))
    assert kernel.printed(asked).split() == ["quick", "cancelled"]


def test_an_interrupt_while_a_cell_blocks_cancels_it(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run(f"gate, mark = {str(tmp_path / 'gate')!r}, {str(tmp_path / 'mark')!r}")
    blocked = kernel.send("%%remote --block\nopen(mark, 'w').close()\nv = through(1, gate)")
    kernel.wait_until(lambda: (tmp_path / "mark").exists())
    kernel.manager.interrupt_kernel()
    kernel.wait_until(lambda: kernel.is_done(blocked))
    assert "KeyboardInterrupt" in kernel.errors(blocked)
    asked = kernel.run(GET_CANCELLED.format("v"))
    assert kernel.printed(asked).split() == ["cancelled"]
    again = kernel.run("%%remote --block\n2 + 2")
    assert kernel.shown(again) == ["4"]


def test_local_runs_in_the_kernel(kernel: Kernel) -> None:
    kernel.run("import os\nhere = os.getpid()")
    ran = kernel.run("%%remote --local\nimport os\nsame = os.getpid() == here\nsame")
    assert kernel.shown(ran) == ["True"]
