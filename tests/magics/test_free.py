"""Who holds an object, as the event hub is told, and `%raynb free`, in a real kernel with IPython's own history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.magics.kernel import Kernel, notebook_kernel

SET_UP = """
import numpy as np
from raynb.util.state import list_objects

def held_by():
    return {o.object_size: o.held_by for o in list_objects(detail=True)}
"""


@pytest.fixture(scope="module")
def _kernel() -> Iterator[Kernel]:
    with notebook_kernel(SET_UP) as kernel:
        yield kernel


@pytest.fixture
def kernel(_kernel: Kernel) -> Iterator[Kernel]:
    yield _kernel
    _kernel.run("%raynb free out")
    # The end of an actor's process, which has held something, is told a moment later.
    _kernel.run("until = time.monotonic() + 10\nwhile list_objects() and time.monotonic() < until: time.sleep(0.02)")
    assert _kernel.value("len(list_objects())") == 0, "something stays behind"


def freed(kernel: Kernel, what: str) -> str:
    request = kernel.run(f"%raynb free {what}")
    assert not kernel.errors(request), kernel.errors(request)
    (shown,) = kernel.shown(request)
    return shown


def column(kernel: Kernel) -> dict[str, Any]:
    """Of each object, by its size: its names as the hub was told them after the last cell."""
    names: dict[str, Any] = kernel.value("held_by()")
    return names


def test_the_hub_knows_every_holder_after_each_cell(kernel: Kernel) -> None:
    kernel.run("x = ray.put(np.zeros(100_000))\nview = ray.get(x)[5:9]\ntable = {'a': ray.put(np.zeros(200_000))}")
    kernel.run(
        "def around():\n    kept = ray.put(np.zeros(300_000))\n    return lambda: ray.get(kept)\ncall = around()\n"
        "ray.put(np.zeros(400_000))"
    )
    number = kernel.value("max(Out)")
    names = column(kernel)
    assert list(names.values()) == [[f"Out[{number}]"], ["call (its closure)"], ["table['a']"], ["x", "view"]]
    kernel.run("y = x\ndel x")
    assert list(column(kernel).values())[-1] == ["view", "y"]
    kernel.run("del y, view, table, call")


def test_tasks_and_actors_that_hold_an_object_are_named_too(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    kernel.run(
        "@ray.remote(num_cpus=0)\nclass Keeper:\n    def keep(self, inside): self.kept = inside\n"
        "@ray.remote(num_cpus=0)\ndef uses(array, path):\n    while not os.path.exists(path): time.sleep(0.005)\n"
        "keeper = Keeper.options(name='safe').remote()\nx = ray.put(np.zeros(100_000))\n"
        f"ray.get(keeper.keep.remote([x]))\nrefs = [uses.remote(x, {str(gate)!r}) for _ in range(2)]"
    )
    assert ["x", "actor safe", "2 x task uses"] in column(kernel).values()
    assert "x, actor safe, 2 x task uses" in kernel.shown(kernel.run("%raynb objects"))[0]
    gate.touch()
    kernel.run("ray.get(refs)\nray.kill(keeper)\ndel x, refs, keeper")


def test_a_function_that_was_sent_holds_what_went_along(kernel: Kernel) -> None:
    # It waits for ever: a worker that has run it would hold what is in it, too.
    kernel.run("inner = ray.put(np.zeros(100_000))\n@ray.remote(num_cpus=1000)\ndef uses(): return ray.get(inner)")
    kernel.run("waits = uses.remote()\ndel inner")
    assert ["uses (its closure)"] in column(kernel).values()
    kernel.run("ray.cancel(waits)\ndel uses, waits")


def test_a_variable_is_let_go_of_and_who_still_holds_is_said(kernel: Kernel) -> None:
    kernel.run("x = ray.put(np.zeros(1_000_000))\nview = ray.get(x)")
    shown = freed(kernel, "x")
    assert "Let go of x: no object is freed." in shown and "is still held by view." in shown
    assert not kernel.value("'x' in globals()")
    assert freed(kernel, "view") == "Let go of view: 1 object, 8.0 MB, is freed."


def test_outputs_of_the_same_objects_go_along(kernel: Kernel) -> None:
    kernel.run("parts = [ray.put(np.zeros(100_000)) for _ in range(3)]")
    kernel.run("parts[1]")
    number = kernel.value("max(Out)")
    assert f"Let go of parts, Out[{number}] and _: 3 objects, 2.4 MB, are freed." in freed(kernel, "parts")


def test_what_only_ipythons_history_holds_is_found_and_freed(kernel: Kernel) -> None:
    kernel.run("ray.put(np.zeros(100_000))")
    kernel.run("%reset -f out")
    assert list(column(kernel).values()) == [["_ (the last results, kept by IPython)"]]
    listed = kernel.shown(kernel.run("%raynb objects"))[0]
    assert "_ (the last results, kept by IPython)" in listed
    assert "1 object, 800.3 kB, is freed" in freed(kernel, "out")


def test_an_output_is_let_go_of_by_its_name(kernel: Kernel) -> None:
    kernel.run("ray.put(np.zeros(100_000))")
    number = kernel.value("max(Out)")
    assert "1 object" in freed(kernel, f"Out[{number}]")
    request = kernel.run(f"%raynb free Out[{number}]")
    assert f"there is no `Out[{number}]`" in kernel.errors(request)


def test_an_objects_id_means_all_variables_that_are_it(kernel: Kernel) -> None:
    kernel.run("a = ray.put(np.zeros(100_000))\nb = a\nkept = [a]\ncount = 3")
    short = kernel.value("a.hex()[:16].lstrip('0') + '-' + a.hex()[16:20]")
    shown = freed(kernel, short)
    assert "Let go of a, b and _" in shown or "Let go of a and b" in shown
    assert "is still held by kept[0]." in shown
    assert kernel.value("'count' in globals() and 'a' not in globals()")
    freed(kernel, "kept")


def test_the_frames_of_an_error_hold_nothing_back(kernel: Kernel) -> None:
    request = kernel.run("def fails(array):\n    1 / 0\nx = ray.put(np.zeros(100_000))\nfails(ray.get(x))")
    assert "ZeroDivisionError" in kernel.errors(request)
    assert "1 object, 800.3 kB, is freed" in freed(kernel, "x")


def test_what_a_running_task_uses_is_said(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> None:
    gate = tmp_path_factory.mktemp("free") / "gate"
    kernel.run(
        "@ray.remote\ndef uses(array, path):\n    while not os.path.exists(path): time.sleep(0.005)\n"
        f"x = ray.put(np.zeros(100_000))\nref = uses.remote(x, {str(gate)!r})"
    )
    assert "is still held by 1 task that uses it." in freed(kernel, "x")
    gate.touch()
    kernel.run("ray.get(ref)\ndel ref")


def test_a_name_that_is_not_there_is_an_error(kernel: Kernel) -> None:
    request = kernel.run("%raynb free nothing")
    assert "the notebook has no `nothing`" in kernel.errors(request)


def test_a_put_that_waits_for_room_says_in_its_cell_who_holds_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    little = "object_store_memory=80_000_000, _system_config={'spill_directory': 'off'}"
    with notebook_kernel("import numpy as np", config=little) as kernel:
        kernel.run("big = ray.put(np.zeros(6_000_000))")
        request = kernel.send("held = [ray.put(np.zeros(3_000_000)) for _ in range(3)]")
        kernel.wait_until(lambda: "put() has waited" in kernel.printed(request))
        said = kernel.printed(request)
        assert "24.0 MB of the object store, which is full" in said and "Here big (48.0 MB)" in said
        kernel.manager.interrupt_kernel()
        kernel.wait_until(lambda: kernel.is_done(request))
        assert "KeyboardInterrupt" in kernel.errors(request)
        assert "1 object, 48.0 MB, is freed" in freed(kernel, "big")
