"""Stories of the GCS as text: what happens, and what it does then. ``RAYNB_UPDATE_SCENARIOS=1`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runtime.core.gcs_harness import Scenario

SCENARIOS = sorted((Path(__file__).parent / "scenarios" / "gcs").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_gcs_does_what_the_scenario_tells(path: Path) -> None:
    told = path.read_text()
    happened = Scenario().run(told)
    if os.environ.get("RAYNB_UPDATE_SCENARIOS"):
        path.write_text(happened)
    assert happened == told


def test_there_are_scenarios_and_each_expects_something() -> None:
    assert len(SCENARIOS) >= 8
    assert all("\n  " in path.read_text() for path in SCENARIOS)
