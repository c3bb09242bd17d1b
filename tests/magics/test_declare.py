"""`%%remote` cells that declare: functions become remote functions, classes actor classes."""

from __future__ import annotations

import inspect

import pytest

from raynb.magics.errors import MixedCellError, OptionError
from raynb.runtime.api.actors import ActorClass
from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.messages.errors import RayTaskError
from tests.magics.notebook import Notebook

pytestmark = pytest.mark.usefixtures("cluster")

CELL = '''%%remote
"""About."""
import math

def area(r):
    return math.pi * r * r

async def later(x):
    import asyncio
    await asyncio.sleep(0)
    return -x

class Counter:
    def __init__(self, n=0):
        self.n = n
    def add(self, k=1):
        self.n += k
        return self.n
'''


def test_each_definition_is_remote_under_its_own_name(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    notebook.must(CELL)
    names = notebook.namespace()
    assert isinstance(names["area"], RemoteFunction)
    assert isinstance(names["Counter"], ActorClass)
    assert names["math"].pi > 3
    notebook.must(
        "c = Counter.remote(5)\nr = ray.get([area.remote(1), later.remote(2), c.add.remote(), c.add.remote(4)])"
    )
    assert notebook.value("r[1:]") == [-2, 6, 10]
    assert notebook.value("round(r[0], 3)") == 3.142


def test_a_function_may_call_itself_and_others_of_its_cell(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    notebook.must(
        "%%remote\ndef fib(n):\n    return n if n < 2 else sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))\n"
        "def double(n):\n    return 2 * ray.get(fib.remote(n))"
    )
    assert notebook.value("ray.get(double.remote(5))") == 10


def test_a_definition_is_remote_for_what_follows_it_in_its_cell(notebook: Notebook) -> None:
    notebook.must("%%remote\ndef f():\n    return 3\n\ndef g(x=f.remote()):\n    return x")
    assert notebook.value("f.remote()") is not None


def test_options_become_defaults(notebook: Notebook) -> None:
    notebook.must("%%remote --num-cpus 2 --max-retries 0\ndef f(): pass\nclass A: pass")
    names = notebook.namespace()
    assert names["f"]._options == {"num_cpus": 2, "max_retries": 0}
    assert names["A"]._options == {"num_cpus": 2}


def test_a_definition_that_is_remote_already_stays_as_it_is(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    notebook.must("%%remote\n@ray.remote(num_cpus=0.5)\ndef f(): return 1")
    assert notebook.namespace()["f"]._options == {"num_cpus": 0.5}
    ran = notebook.run("%%remote --num-cpus 1\n@ray.remote\ndef g(): return 1")
    assert isinstance(ran.error, OptionError)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%remote --block\ndef f(): pass", "--block is for a cell that runs as a task"),
        ("%%remote --out x\ndef f(): pass", "--out is for"),
        ("%%remote --no-stream\ndef f(): pass", "--no-stream is for"),
        ("%%remote --max-retries 2\nclass A: pass", "--max-retries is not for classes"),
    ],
)
def test_options_that_make_no_sense_for_a_declaration_are_refused(notebook: Notebook, cell: str, words: str) -> None:
    ran = notebook.run(cell)
    assert isinstance(ran.error, OptionError)
    assert words in str(ran.error)
    assert notebook.value("f") == "absent"


def test_a_cell_that_declares_and_runs_is_refused_and_does_neither(notebook: Notebook) -> None:
    ran = notebook.run("%%remote\ndef f():\n    pass\nx = 1")
    assert isinstance(ran.error, MixedCellError)
    assert ran.error.line == 4
    assert "x = 1" in ran.stdout and "run_cell" not in ran.stdout
    assert (notebook.value("f"), notebook.value("x")) == ("absent", "absent")


def test_inspect_and_tracebacks_show_the_cell(notebook: Notebook) -> None:
    notebook.must("import raynb as ray")
    notebook.must("\n%%remote\n\ndef f(x):\n    # a remark\n    return 1 / x")
    function = notebook.namespace()["f"]._function
    assert inspect.getsource(function) == "def f(x):\n    # a remark\n    return 1 / x\n"
    ran = notebook.run("ray.get(f.remote(0))")
    assert isinstance(ran.error, RayTaskError) and isinstance(ran.error, ZeroDivisionError)
    assert ", line 6, in f" in str(ran.error)


def test_an_error_while_declaring_has_the_line_of_the_cell(notebook: Notebook) -> None:
    ran = notebook.run("%%remote\ndef f(): pass\n\ndef g(x=1 / 0): pass")
    assert isinstance(ran.error, ZeroDivisionError)
    assert "line 4" in ran.stdout and "def g(x=1 / 0): pass" in ran.stdout
    assert isinstance(notebook.namespace()["f"], RemoteFunction)
    assert "__raynb_remote__" not in notebook.namespace()
