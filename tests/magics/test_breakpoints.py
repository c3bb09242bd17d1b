"""``breakpoint()`` in tasks, in a real kernel that may ask for input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.magics.kernel import Kernel, notebook_kernel

ATTACHES = "%raynb debug attaches to it"
PAUSE = "@ray.remote\ndef pause(x):\n    y = x + 1\n    breakpoint()\n    z = y * 2\n    return z"


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with raynb loaded and a cluster of two CPUs."""
    with notebook_kernel(PAUSE) as made:
        yield made


@pytest.fixture(autouse=True)
def asks(kernel: Kernel) -> Iterator[None]:
    """The front end can be asked, and nothing of another test waits."""
    kernel.converse("pass", [])
    yield
    waits = kernel.converse("from raynb.runtime.api.breakpoints import waiting\nprint(len(waiting()))", [])
    assert kernel.printed(waits).strip() == "0"


def submit(kernel: Kernel, cell: str) -> str:
    """Run a cell that submits a task, until its notice is there; the id of the request."""
    request = kernel.converse(cell, [])
    kernel.wait_until(lambda: ATTACHES in kernel.printed(request))
    return request


def test_a_task_at_a_breakpoint_is_driven_from_another_cell(kernel: Kernel) -> None:
    defined = kernel.converse(PAUSE.replace("pause", "wait_here"), [])
    number = kernel.of(defined, "execute_input")[0]["execution_count"]
    request = submit(kernel, "r = wait_here.remote(20)")
    assert f"waits at a breakpoint, line 4 of In[{number}]: {ATTACHES}" in kernel.printed(request)
    ran = kernel.converse("%raynb debug", ["p x, y", "n", "p z", "y = 100", "up", "l", "c"])
    printed = kernel.printed(ran)
    assert "(20, 21)" in printed and "\n42\n" in printed
    assert "-> z = y * 2" in printed and "-> return z" in printed, "the cell's lines, which the worker doesn't have"
    assert "Oldest frame" in printed, "the worker's own frames are not shown"
    assert "runner.py" not in printed
    assert "wait_here has ended." in printed
    assert kernel.shown(kernel.converse("ray.get(r)", [])) == ["42"]


def test_what_a_command_changes_is_changed_in_the_task(kernel: Kernel) -> None:
    submit(kernel, "r = pause.remote(0)")
    kernel.converse("%raynb debug", ["!y = 50", "c"])
    assert kernel.shown(kernel.converse("ray.get(r)", [])) == ["100"]


def test_a_cell_that_waits_for_the_task_gets_its_prompt(kernel: Kernel) -> None:
    ran = kernel.converse("ray.get(pause.remote(1))", ["p y", "c"])
    assert "\n2\n" in kernel.printed(ran)
    assert kernel.shown(ran) == ["4"]


def test_a_cell_that_awaits_the_task_gets_its_prompt(kernel: Kernel) -> None:
    ran = kernel.converse("value = await pause.remote(1)\nvalue", ["p y", "c"])
    assert "\n2\n" in kernel.printed(ran)
    assert kernel.shown(ran) == ["4"]


def test_an_interrupt_of_the_cell_that_awaits_cancels_its_task(kernel: Kernel) -> None:
    request = kernel.send("r = pause.remote(5)\nawait r", stdin=True)
    kernel.asked(request)
    kernel.manager.interrupt_kernel()
    kernel.wait_until(lambda: kernel.is_done(request))
    kernel.prompts.clear()
    assert kernel.errors(request)
    assert "TaskCancelledError" in kernel.errors(kernel.converse("ray.get(r, timeout=10)", []))


def test_a_task_cell_has_its_own_lines(kernel: Kernel) -> None:
    kernel.converse("base = 5", [])
    ran = kernel.converse(
        "%%remote --block\nstep = base + 1\nbreakpoint()\nlast = step\nlast", ["p base, step", "l", "c"]
    )
    assert "(5, 6)" in kernel.printed(ran) and "-> last = step" in kernel.printed(ran)
    assert kernel.shown(ran) == ["6"]


def test_several_that_wait_are_listed_and_chosen_by_process(kernel: Kernel) -> None:
    submit(kernel, "one = pause.remote(1)")
    submit(kernel, "two = pause.remote(2)")
    asked = kernel.converse("%raynb debug", [])
    errors = kernel.errors(asked)
    assert "2 tasks wait at a breakpoint" in errors
    pids = [word for line in errors.splitlines() if "--attach" in line for word in line.split() if word.isdigit()]
    assert len(pids) >= 2
    kernel.converse(f"%raynb debug --attach {pids[0]}", ["c"])
    wrong = kernel.converse("%raynb debug --attach 1", [])
    assert "no task waits at a breakpoint in process 1" in kernel.errors(wrong)
    kernel.converse("%raynb debug", ["c"])
    assert kernel.shown(kernel.converse("ray.get([one, two])", [])) == ["[4, 6]"]


def test_its_cpus_are_others_while_a_task_stands_still(kernel: Kernel) -> None:
    kernel.converse("@ray.remote(num_cpus=2)\ndef all_cpus():\n    return 'ran'", [])
    submit(kernel, "r = pause.remote(1)")
    kernel.converse("other = all_cpus.remote()\nimport asyncio", [])
    assert kernel.shown(kernel.converse("await asyncio.wait_for(other.as_future(), 20)", [])) == ["'ran'"]
    attached = kernel.send("%raynb debug", stdin=True)
    kernel.asked(attached)
    kernel.answer("c")
    kernel.wait_until(lambda: kernel.is_done(attached))


def test_an_interrupt_detaches_and_the_task_waits_on(kernel: Kernel) -> None:
    request = submit(kernel, "r = pause.remote(3)")
    attached = kernel.send("%raynb debug", stdin=True)
    kernel.asked(attached)
    kernel.manager.interrupt_kernel()
    kernel.wait_until(lambda: kernel.is_done(attached))
    kernel.prompts.clear()
    assert "Detached" in kernel.printed(attached) and not kernel.errors(attached)
    kernel.wait_until(lambda: kernel.printed(request).count(ATTACHES) == 2)
    ran = kernel.converse("%raynb debug", ["p y", "c"])
    assert "-> z = y * 2" in kernel.printed(ran), "where it stands is said again"
    assert "\n4\n" in kernel.printed(ran)
    assert kernel.shown(kernel.converse("ray.get(r)", [])) == ["8"]


def test_a_task_that_waits_is_cancelled(kernel: Kernel) -> None:
    submit(kernel, "r = pause.remote(3)")
    kernel.converse("ray.cancel(r)", [])
    ended = kernel.converse("ray.get(r, timeout=10)", [])
    assert "TaskCancelledError" in kernel.errors(ended)


def test_an_interrupt_of_the_cell_that_waits_cancels_its_task(kernel: Kernel) -> None:
    request = kernel.send("r = pause.remote(5)\nray.get(r)", stdin=True)
    kernel.asked(request)
    kernel.manager.interrupt_kernel()
    kernel.wait_until(lambda: kernel.is_done(request))
    kernel.prompts.clear()
    assert "KeyboardInterrupt" in kernel.errors(request)
    assert "TaskCancelledError" in kernel.errors(kernel.converse("ray.get(r, timeout=10)", []))


def test_quitting_cancels_the_task(kernel: Kernel) -> None:
    submit(kernel, "r = pause.remote(3)")
    ran = kernel.converse("%raynb debug", ["q"])
    assert "pause has ended." in kernel.printed(ran)
    ended = kernel.converse("ray.get(r, timeout=10)", [])
    assert "TaskCancelledError" in kernel.errors(ended) and "told to quit at its breakpoint" in kernel.errors(ended)


def test_the_next_breakpoint_of_the_task_is_met_at_the_same_prompt(kernel: Kernel) -> None:
    kernel.converse("@ray.remote\ndef loop():\n    for i in range(3):\n        breakpoint()\n    return i", [])
    ran = kernel.converse("ray.get(loop.remote())", ["p i", "c", "p i", "c", "p i", "c"])
    assert [line for line in kernel.printed(ran).splitlines() if line.isdigit()] == ["0", "1", "2"]
    assert kernel.shown(ran) == ["2"]


def test_in_an_actor(kernel: Kernel) -> None:
    kernel.converse(
        "@ray.remote\nclass Box:\n    def open(self, n):\n        breakpoint()\n        return n\nbox = Box.remote()",
        [],
    )
    ran = kernel.converse("ray.get(box.open.remote(9))", ["p n, type(self).__name__", "c"])
    assert "(9, 'Box')" in kernel.printed(ran) and kernel.shown(ran) == ["9"]


def test_a_front_end_that_cannot_be_asked_passes_it_over(kernel: Kernel) -> None:
    ran = kernel.run("ray.get(pause.remote(1))")
    assert kernel.shown(ran) == ["4"]
    kernel.wait_until(lambda: "passed over" in kernel.printed(ran))


def test_in_a_script_it_is_passed_over(kernel: Kernel, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import raynb as ray\nray.init(num_cpus=1)\n"
        "@ray.remote\ndef f():\n    breakpoint()\n    return 'went on'\nprint(ray.get(f.remote(), timeout=20))\n"
    )
    ran = kernel.converse(
        f"import subprocess, sys\nsubprocess.run([sys.executable, {str(script)!r}], capture_output=True)", []
    )
    [shown] = kernel.shown(ran)
    assert "went on" in shown and "no notebook can attach to a task of a script" in shown


def test_a_task_whose_process_dies_at_its_breakpoint_is_gone(kernel: Kernel) -> None:
    kernel.converse(
        "@ray.remote(max_retries=0)\ndef dies():\n    pid = os.getpid()\n    breakpoint()\n    return pid", []
    )
    submit(kernel, "r = dies.remote()")
    ran = kernel.converse("%raynb debug", ["!os.kill(pid, 9)"])
    assert "is gone." in kernel.printed(ran)
    assert "WorkerCrashedError" in kernel.errors(kernel.converse("ray.get(r, timeout=20)", []))


def test_a_cluster_stops_while_a_task_waits_at_a_breakpoint() -> None:
    kernel = Kernel()
    try:
        kernel.converse("%load_ext raynb\nimport time\nimport raynb as ray\nray.init(num_cpus=1)", [])
        kernel.converse(PAUSE, [])
        submit(kernel, "r = pause.remote(1)")
        stopped = kernel.converse("begun = time.monotonic(); ray.shutdown(); print(time.monotonic() - begun < 5)", [])
        assert kernel.printed(stopped).strip() == "True"
        waits = kernel.converse("%raynb debug", [])
        assert "there is no cluster to look at" in kernel.errors(waits)
    finally:
        kernel.close()
