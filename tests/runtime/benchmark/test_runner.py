"""The runner's processes: interleaved, bounded, and blamed for what they leave out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raynb.runtime.benchmark import runner, table
from raynb.runtime.benchmark.runner import Reading, Results, System

TASKS, CHAIN, IMPORT = (table.BY_KEY[key] for key in ("tasks", "chain", "import_time"))


def interpreter(folder: Path, script: str) -> str:
    """A program that stands where an interpreter would, and says what a shell script says."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def says(**line: object) -> str:
    return f"echo '{json.dumps(line)}'"


def test_rows_that_share_a_cluster_run_in_one_process_and_fresh_ones_alone() -> None:
    assert runner.batches([IMPORT, TASKS, CHAIN]) == [[IMPORT], [TASKS, CHAIN]]
    assert runner.batches([IMPORT]) == [[IMPORT]]


def test_the_rounds_of_two_systems_are_interleaved_and_their_medians_count(tmp_path: Path) -> None:
    counter = tmp_path / "runs"
    script = f'echo x >> {counter}; n=$(wc -l < {counter}); echo "{{\\"version\\": \\"9\\"}}"; '
    script += 'echo "{\\"case\\": \\"tasks\\", \\"value\\": $n, \\"seconds\\": 0.1}"'
    python = interpreter(tmp_path, script)
    told: list[tuple[str, str]] = []
    first, second = runner.measure(
        [System("raynb", python), System("ray", python)],
        [TASKS],
        rounds=3,
        tell=lambda module, where, _: told.append((module, where)),
    )
    assert told[:3] == [("raynb", "round 1"), ("ray", "round 1"), ("raynb", "round 2")]
    assert first.values == {"tasks": [1, 3, 5]}
    assert second.median("tasks") == 4
    assert first.version == "9"


def test_a_process_that_ends_early_gives_its_last_words_as_the_reason(tmp_path: Path) -> None:
    result = says(case="tasks", value=1.0, seconds=0.1)
    python = interpreter(tmp_path, f"{result}; echo out of luck >&2; exit 3")
    (results,) = runner.measure([System("raynb", python)], [TASKS, CHAIN], rounds=1)
    assert results.values == {"tasks": [1.0]}
    assert results.errors == {"chain": "ended with 3: out of luck"}


def test_a_silent_process_is_stopped_and_its_rows_say_so(tmp_path: Path) -> None:
    python = interpreter(tmp_path, f"{says(version='1')}; exec sleep 600")
    found = list(runner.readings(System("raynb", python), ["tasks"], [], Results("raynb"), 0.3))
    assert found == [Reading("tasks", None, "nothing for 0 s", 0.0)]


def test_growth_is_read_by_number_of_tasks_and_of_cpus(tmp_path: Path) -> None:
    # The last argument is the point of the curve.
    python = interpreter(
        tmp_path,
        'for point in "$@"; do :; done; echo "{\\"case\\": \\"tasks\\", \\"value\\": $point, \\"seconds\\": 1}"',
    )
    results = Results("raynb")
    runner.measure_growth([System("raynb", python)], [results], ["tasks"], counts=[10, 100], cpus=[1, 2])
    assert results.growth == {"tasks": {10: 10, 100: 100}}
    assert results.workers == {"tasks": {1: 1, 2: 2}}


def test_another_interpreter_does_not_get_this_ones_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert "PYTHONPATH" not in System("ray", "/usr/bin/other-python").environment()
    assert System("raynb").environment()["PYTHONPATH"] == "/somewhere"


def test_a_real_process_measures_a_real_import() -> None:
    (results,) = runner.measure([System("raynb")], [IMPORT], rounds=1)
    assert results.errors == {}
    median = results.median("import_time")
    assert median is not None and 0 < median < 30
