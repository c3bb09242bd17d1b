"""Every notebook of notebooks/, run from top to bottom in a real kernel, as a reader does with "Run All"."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.architecture.source import ROOT

NOTEBOOKS = ROOT / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
CELL_S_MAX = 120
NOTEBOOK_S_MAX = 300
OTHERS = re.compile(r"^raynb: this cluster offers .*\n?", re.MULTILINE)
"""Where other clusters run, `init` says so: true, and nothing that the notebook could help."""
RETRIED = re.compile(r"^Task [\w.]+ failed\b.* so the task will be retried\. Error: .*\n", re.MULTILINE)
"""What a cell says of tasks that are tried again; those of which this is the lesson are tagged ``tells-of-retries``."""
ALT_CHARS_MIN = 60
"""Words for who can't see a figure, in the metadata of its cell: `notebooks/page` puts them into the page."""
SUMMARY = re.compile(r"checks passed +(\d+) of (\d+)\s*$")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the notebooks elsewhere, so that what they write stays out of the checkout."""
    return Path(shutil.copytree(NOTEBOOKS, tmp_path_factory.mktemp("notebooks") / "notebooks"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(outputs: list[Any]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def is_tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


@pytest.mark.timeout(NOTEBOOK_S_MAX)
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_without_warnings_and_all_its_checks_pass(name: str, copy: Path) -> None:
    notebook = read(copy / name)
    # Else the kernel warns that its messages travel unencrypted, on this machine.
    client = NotebookClient(notebook, timeout=CELL_S_MAX, resources={"metadata": {"path": str(copy)}})
    client.create_kernel_manager().transport_encryption = "auto"
    client.execute()  # stops where a cell fails that isn't tagged raises-exception

    cells = code_cells(notebook)
    for cell in cells:
        complaints = OTHERS.sub("", text_of([o for o in cell.outputs if o.get("name") == "stderr"]))
        if is_tagged(cell, "tells-of-retries"):
            complaints, retries = RETRIED.subn("", complaints)
            assert retries, f"{cell.source}\n\ndoes not say that a task is tried again"
        assert not complaints, f"{cell.source}\n\nprints\n\n{complaints}"
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == is_tagged(cell, "raises-exception"), (
            f"{cell.source}\n\nis tagged raises-exception and doesn't fail"
        )

    for cell in cells:
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert len(cell.metadata.get("alt", "")) > ALT_CHARS_MIN, f"{cell.source}\n\nhas no `alt` in its metadata"

    summary = SUMMARY.search(text_of(cells[-1].outputs))
    assert summary, "the last cell doesn't say how many checks have passed"
    passed, of = map(int, summary.groups())
    ticks = sum(line.startswith("✓ ") for cell in cells for line in text_of(cell.outputs).splitlines())
    assert passed == of == ticks > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_without_outputs_so_that_a_change_shows_what_changed(name: str) -> None:
    for cell in code_cells(read(NOTEBOOKS / name)):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_there_are_notebooks() -> None:
    assert "quickstart.ipynb" in NAMES
