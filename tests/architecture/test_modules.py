"""Modules and functions stay small enough for a reader's head, and are finished."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import Module

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
UNFINISHED = re.compile("[T]ODO|[F]IXME")  # so written, this line is not found itself
READ = {
    ".css",
    ".html",
    ".ipynb",
    ".js",
    ".json",
    ".md",
    ".mjs",
    ".py",
    ".sh",
    ".toml",
    ".ts",
    ".tsx",
}
MADE = {"build", "dist", "lib", "node_modules", "__pycache__"}


def written_files(root: Path) -> Iterator[Path]:
    """What people wrote: no builds, no caches, no installed packages."""
    yield from (root / "do", root / ".ci" / "run")
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or entry.name in MADE or entry.suffix == ".egg-info":
            continue
        for path in [entry] if entry.is_file() else sorted(entry.rglob("*")):
            if path.suffix in READ and not MADE.intersection(path.relative_to(root).parts):
                yield path


def long_functions(tree: ast.Module) -> list[str]:
    return [
        f"{node.name}: {lines} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


def test_no_module_is_longer_than_a_reader_can_hold(root: Path) -> None:
    sources = [path for path in written_files(root) if path.suffix in {".py", ".ts", ".tsx"}]
    lengths = {path: len(path.read_text().splitlines()) for path in sources}
    assert not {path: n for path, n in lengths.items() if n > MODULE_LINES_MAX}


def test_every_function_fits_a_screen(modules: list[Module]) -> None:
    assert not {module.path: long for module in modules if (long := long_functions(module.tree))}


def test_a_long_function_is_found() -> None:
    body = "    x = 1\n" * FUNCTION_LINES_MAX
    assert long_functions(ast.parse(f"class C:\n  async def f():\n{body}")) == ["f: 71 lines"]


def test_nothing_is_left_unfinished(root: Path) -> None:
    assert not [
        f"{path}:{number} {line.strip()}"
        for path in written_files(root)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]


def test_every_module_says_what_it_is(modules: list[Module]) -> None:
    assert not [module.path for module in modules if not ast.get_docstring(module.tree)]


def test_every_folder_of_modules_is_a_package(modules: list[Module], root: Path) -> None:
    """setuptools leaves a folder without `__init__.py` out of the wheel."""
    folders = {root / module.path.parent for module in modules}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
