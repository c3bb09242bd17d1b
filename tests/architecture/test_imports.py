"""Who may import what: the rules finer than the layers, which import-linter holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.architecture.source import Module

# What a pure machine may use. Nothing in here reads a clock, an environment, a file or a random
# source, or starts a thread; msgspec is the language that messages, events and effects are in.
CORE_MAY_IMPORT = {
    "__future__",
    "abc",
    "array",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "types",
    "typing",
}


def within(name: str, packages: Collection[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def broken(modules: list[Module], below: str, allowed: Callable[[str], bool]) -> list[str]:
    """Each import in the package `below` that is not allowed, as `file:line name`."""
    return [
        f"{module.path}:{line} {name}"
        for module in modules
        if within(module.name, [below])
        for line, name in module.imports()
        if not allowed(name)
    ]


def test_the_core_imports_only_messages_and_harmless_parts_of_the_standard_library(
    modules: list[Module],
) -> None:
    ours = {"raynb.runtime.core", "raynb.runtime.messages"}
    assert not broken(modules, "raynb.runtime.core", lambda n: within(n, CORE_MAY_IMPORT | ours))


def test_messages_import_nothing_else_of_raynb(modules: list[Module]) -> None:
    assert not broken(
        modules,
        "raynb.runtime.messages",
        lambda name: not within(name, ["raynb"]) or within(name, ["raynb.runtime.messages"]),
    )


@pytest.mark.parametrize(
    ("package", "may_import"),
    [
        ("codec", {"messages"}),
        ("ports", {"messages"}),
        ("adapters", {"ports", "messages", "codec"}),
    ],
)
def test_a_low_package_imports_no_more_of_raynb_than_it_may(
    modules: list[Module], package: str, may_import: set[str]
) -> None:
    ours = {f"raynb.runtime.{name}" for name in {package, *may_import}}
    assert not broken(
        modules,
        f"raynb.runtime.{package}",
        lambda name: not within(name, ["raynb"]) or within(name, ours),
    )


@pytest.mark.parametrize("below", ["raynb.magics", "raynb.widgets", "raynb.runtime"])
def test_nothing_below_imports_the_top_of_the_package(modules: list[Module], below: str) -> None:
    """The version is the exception: it stands on nothing."""
    packages = {"raynb.magics", "raynb.widgets", "raynb.runtime", "raynb._version"}
    assert not broken(modules, below, lambda name: not within(name, ["raynb"]) or within(name, packages))


def test_imports_are_absolute(modules: list[Module]) -> None:
    assert not broken(modules, "raynb", lambda name: not name.startswith("."))


def test_an_import_that_is_not_allowed_is_found_wherever_it_stands() -> None:
    source = "import time\ndef f():\n    if True:\n        from ..adapters import transport\n"
    bad = Module(Path("x.py"), "raynb.runtime.core.x", source)
    assert broken([bad], "raynb.runtime.core", lambda name: within(name, CORE_MAY_IMPORT)) == [
        "x.py:1 time",
        "x.py:4 ..adapters.transport",
    ]


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after one statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = [sys.executable, "-W", "error", "-c", code]
    return set(subprocess.run(run, check=True, capture_output=True, text=True).stdout.split())


HEAVY = {"IPython", "ipykernel", "jupyter_server", "numpy", "pandas", "pyarrow", "tornado", "zmq"}


def test_import_raynb_is_light() -> None:
    loaded = loaded_by("import raynb")
    assert "raynb" in loaded
    assert not loaded & HEAVY


def test_import_of_the_core_is_light() -> None:
    loaded = loaded_by("import raynb.runtime.core, raynb.runtime.messages")
    assert "msgspec" in loaded
    assert not loaded & (HEAVY | {"asyncio", "cloudpickle", "redis", "socket", "subprocess"})
