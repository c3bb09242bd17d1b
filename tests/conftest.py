"""Fixtures and options for every folder of tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sim-seeds", type=int, default=0, metavar="N", help="simulate so many clusters (default: 2000)")
