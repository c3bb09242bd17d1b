"""Commands of `%raynb` in a real kernel: cells, what a notebook is shown, and a cell that blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.magics.kernel import Kernel, notebook_kernel

THROUGH = """
import raynb as ray
@ray.remote
def through(gate, *inputs):
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.005)
    return gate
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with raynb loaded and a cluster of two CPUs."""
    with notebook_kernel(THROUGH) as made:
        yield made


@pytest.fixture
def gate(kernel: Kernel, tmp_path: Path) -> Iterator[Path]:
    """Where the kernel's `through` waits for the test."""
    path = tmp_path / "gate"
    kernel.run(f"gate = {str(path)!r}")
    yield path
    path.touch()


def number_of(kernel: Kernel, request: str) -> int:
    """The execution count of a cell."""
    count: int = kernel.of(request, "execute_input")[0]["execution_count"]
    return count


def page(kernel: Kernel, request: str) -> dict[str, Any]:
    """What a command has shown, by mime type."""
    (content,) = kernel.of(request, "display_data")
    data: dict[str, Any] = content["data"]
    return data


def test_tasks_of_a_cell_are_listed_by_its_number_whoever_submits_them(kernel: Kernel, gate: Path) -> None:
    first = number_of(kernel, kernel.run("refs = [through.remote(gate) for _ in range(3)]"))
    second = number_of(kernel, kernel.run("%%remote\nderived = [refs]"))
    shown = page(kernel, kernel.run(f"%raynb tasks --cell {first}"))
    assert f"3 tasks of In[{first}]" in shown["text/plain"] and f"In[{first}]" in shown["text/html"]
    assert f"1 task of In[{second}]" in page(kernel, kernel.run(f"%raynb tasks --cell {second}"))["text/plain"]
    graph = page(kernel, kernel.run("%raynb graph --by cell"))["text/plain"]
    assert f"In[{first}]  x3" in graph
    gate.touch()
    kernel.run("ray.get(refs)")


def test_the_tasks_of_one_cell_are_cancelled_and_those_of_another_go_on(kernel: Kernel, gate: Path) -> None:
    doomed = number_of(kernel, kernel.run("doomed = [through.remote(gate) for _ in range(2)]"))
    kernel.run("kept = through.options(num_cpus=0).remote(gate)")
    cancelled = kernel.run(f"%raynb cancel --cell {doomed}")
    assert f"Cancelled 2 tasks of In[{doomed}]: 2 x through." in kernel.printed(cancelled)
    asked = kernel.run(
        "for ref in doomed:\n  try: ray.get(ref)\n  except ray.exceptions.TaskCancelledError: print('cancelled')"
    )
    assert kernel.printed(asked).split() == ["cancelled", "cancelled"], kernel.errors(asked)
    gate.touch()
    asked = kernel.run("print(ray.get(kept) == gate)")
    assert kernel.printed(asked).strip() == "True", kernel.errors(asked)
    again = kernel.run(f"%raynb cancel --cell {doomed}")
    assert f"No task of In[{doomed}] is unfinished" in kernel.printed(again)


def test_a_cell_that_has_not_run_is_refused_with_those_that_have(kernel: Kernel) -> None:
    assert "no cell In[4711] has run" in kernel.errors(kernel.run("%raynb tasks --cell 4711"))


def test_why_shows_a_sentence_and_the_chain(kernel: Kernel, gate: Path) -> None:
    kernel.run("a = through.options(name='a').remote(gate)")
    kernel.run("%%remote\nb = a")
    kernel.run("%%remote\nc = b")
    shown = page(kernel, kernel.run("%raynb why c"))
    assert "which waits for its input a, which has been running for" in shown["text/plain"]
    assert shown["text/html"].count("<li>") == 3
    direct = kernel.of(kernel.run("c.why()"), "execute_result")[0]["data"]
    assert direct["text/html"].count("<li>") == 3
    gate.touch()
    kernel.run("ray.get(c)")


def test_names_of_the_notebook_hold_objects_and_outputs_too(kernel: Kernel) -> None:
    made = number_of(kernel, kernel.run("import numpy as np\nray.put(np.zeros(100_000))"))
    kernel.run(f"df = ray.get(Out[{made}])")
    shown = page(kernel, kernel.run("%raynb objects"))["text/plain"]
    assert any(line.startswith(f"df, Out[{made}]") for line in shown.splitlines()), shown


def test_loading_the_extension_loads_no_command(kernel: Kernel) -> None:
    code = (
        "import subprocess, sys\n"
        "text = 'from IPython.core.interactiveshell import InteractiveShell as I; s = I.instance(); '"
        '\'s.run_line_magic("load_ext", "raynb"); import sys; \''
        "'print(sorted(n for n in sys.modules if n.startswith(\"raynb.magics\")))'\n"
        "print(subprocess.run([sys.executable, '-c', text], capture_output=True, text=True).stdout)"
    )
    printed = kernel.printed(kernel.run(code))
    assert "raynb.magics.frontend" in printed
    assert "raynb.magics.commands" not in printed and "raynb.magics.cluster" not in printed
