"""Fixtures and options for every folder of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sim-seeds", type=int, default=0, metavar="N", help="simulate so many clusters (default: 2000)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run side by side: a file is one process's, and the browser's all are, for three would be too slow."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group("browser" if file.startswith("tests/browser/") else file))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Closed until the test opens it, or has ended."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()
