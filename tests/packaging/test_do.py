"""`./do` on a fresh machine: a copy of the tree, an environment that is not there yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import v4

import raynb
from tests.architecture.source import ROOT
from tests.packaging.test_distributions import MADE

QUICKSTART = [
    "import os, raynb",
    "print('raynb', raynb.__version__)\nos.path.basename(os.getcwd())",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a quickstart notebook of two cells."""
    tree = tmp_path_factory.mktemp("do") / "clone"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*MADE))
    if (built := ROOT / "labextension" / "dist").exists():
        shutil.copytree(built, tree / "labextension" / "dist")
    write_quickstart(tree, *QUICKSTART)
    return tree


def write_quickstart(tree: Path, *cells: str) -> None:
    cells_and_end = [*map(v4.new_code_cell, cells), v4.new_markdown_cell("That was all.")]
    (tree / "notebooks").mkdir(exist_ok=True)
    path = tree / "notebooks" / "quickstart.ipynb"
    path.write_text(v4.writes(v4.new_notebook(cells=cells_and_end)))


def do(tree: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"RAYNB_VENV": str(tree / ".venv")}
    command = [sys.executable, tree / "do", *args]
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.timeout(300)  # all of JupyterLab is installed here, perhaps from far away
def test_demo_installs_runs_the_notebook_prints_its_summary_and_leaves_its_page(tree: Path) -> None:
    done = do(tree, "demo", "--no-lab")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pip install" in done.stdout
    assert f"raynb {raynb.__version__}\n'notebooks'\n" in done.stdout
    assert f"raynb {raynb.__version__}" in (tree / "build/demo/quickstart.html").read_text()


def test_demo_installs_once_and_fails_where_a_cell_fails(tree: Path) -> None:
    write_quickstart(tree, *QUICKSTART, "no_such_name")
    failed = do(tree, "demo", "--no-lab")
    assert failed.returncode != 0
    assert "NameError" in failed.stderr
    assert "pip install" not in failed.stdout


def test_an_unknown_verb_shows_what_there_is(tree: Path) -> None:
    shown = do(tree, "dance")
    assert shown.returncode != 0
    assert "./do demo" in shown.stderr
