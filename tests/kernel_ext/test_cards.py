"""What a notebook shows of references, actors and remote functions, and that it follows them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb.reprs import _KINDS
from tests.magics.kernel import Kernel, notebook_kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with notebook_kernel(
        "import numpy as np\n@ray.remote\ndef hold(path, value=1):\n"
        "    'Waits for a file.'\n"
        "    while not os.path.exists(path): time.sleep(0.005)\n    return value\n"
        "@ray.remote(num_cpus=0)\nclass Box:\n    def add(self, x): return x\n    def empty(self): pass\n",
        num_cpus=1,
    ) as kernel:
        yield kernel


@pytest.mark.parametrize(("module", "name"), _KINDS)
def test_what_is_shown_as_a_card_is_known_by_the_module_where_it_is_defined(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name).__module__ == module


def card(kernel: Kernel, request: str) -> dict[str, Any]:
    """The last state of what a cell shows."""
    shown = kernel.of(request, "display_data", "update_display_data", "execute_result")
    assert shown, kernel.errors(request)
    data: dict[str, Any] = shown[-1]["data"]
    return data


def test_a_reference_follows_its_task_until_the_value_is_there(kernel: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    request = kernel.run(f"ref = hold.remote({str(gate)!r}, [1, 2, 3])\nref")
    kernel.wait_until(lambda: "hold" in card(kernel, request)["text/plain"])
    behind = kernel.run(f"second = hold.remote({str(gate)!r})\nsecond")
    kernel.wait_until(lambda: "CPU" in card(kernel, behind)["text/plain"])
    gate.touch()
    kernel.wait_until(lambda: "ready" in card(kernel, request)["text/plain"])
    assert "list of 3" in card(kernel, request)["text/html"]
    kernel.wait_until(lambda: "int: 1" in card(kernel, behind)["text/plain"])


def test_an_array_shows_its_shape_and_where_it_lies(kernel: Kernel) -> None:
    request = kernel.run("array = ray.put(np.zeros((1000, 1000)))\narray")
    text = card(kernel, request)["text/plain"]
    assert "numpy.ndarray (1000, 1000) float64" in text
    assert "8.0 MB in shared memory" in text


def test_a_failed_reference_shows_its_error(kernel: Kernel) -> None:
    kernel.run("@ray.remote\ndef fail(): raise ValueError('<b>no</b>')\nbad = fail.remote()\nray.wait([bad])")
    shown = card(kernel, kernel.run("bad"))
    assert "ValueError: <b>no</b>" in shown["text/plain"]
    assert "<b>no</b>" not in shown["text/html"]


def test_an_actor_is_followed_to_its_end(kernel: Kernel) -> None:
    request = kernel.run("box = Box.options(name='box').remote()\nray.get(box.add.remote(1))\nbox")
    kernel.wait_until(lambda: "alive" in card(kernel, request)["text/plain"])
    text = card(kernel, request)["text/plain"]
    assert "methods: add, empty" in text and "named 'box'" in text
    kernel.run("ray.kill(box)")
    kernel.wait_until(lambda: "dead" in card(kernel, request)["text/plain"])


def test_functions_and_classes_show_what_they_take(kernel: Kernel) -> None:
    function = card(kernel, kernel.run("hold"))["text/plain"]
    assert "hold(path, value=1)" in function and "Waits for a file." in function
    assert "num_cpus=0" in card(kernel, kernel.run("Box"))["text/plain"]


def test_in_a_list_a_reference_is_short_and_is_not_asked_about(kernel: Kernel) -> None:
    request = kernel.run("one = ray.put(1)\n[one]")
    assert card(kernel, request)["text/plain"].startswith("[ObjectRef(")


def test_out_holds_the_reference_itself(kernel: Kernel) -> None:
    kernel.run("ray.put(5)")
    assert kernel.value("ray.get(_)") == 5
