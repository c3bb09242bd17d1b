from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import source


@pytest.fixture(scope="session")
def root() -> Path:
    return source.ROOT


@pytest.fixture(scope="session")
def modules() -> list[source.Module]:
    """Every module of the package."""
    return source.modules()
