"""Fixtures and options for every folder of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.gate import Gate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sim-seeds", type=int, default=0, metavar="N", help="simulate so many clusters (default: 2000)")


class ByFile(LoadScopeScheduling):
    """Tests that run side by side: a file is one process's, and the browser's all are, for three would be too slow."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if file.startswith("tests/browser/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Closed until the test opens it, or has ended."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()
