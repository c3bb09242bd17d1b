"""How many seeds are simulated."""

from __future__ import annotations

import pytest

from tests.sim.seeds import blocks


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "first" in metafunc.fixturenames:
        metafunc.parametrize("first", blocks(metafunc.config.getoption("--sim-seeds") or 0))
