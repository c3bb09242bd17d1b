"""Hard cells give the same in plain IPython, by `--local` and as remote tasks, or differ as is written."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from raynb.magics.remote import LostChangeWarning
from tests.magics.cells import CASES, Case
from tests.magics.notebook import Notebook, Ran, name_of

WAYS = {"local": "--local", "remote": ""}
RAISED = "raised"
"""An expression in the cases: the exception that the cell raises."""


def canonical(value: Any) -> Any:
    """A value as what can be compared, also with one whose classes another run of the notebook has made."""
    kind = type(value)
    if kind.__module__ == "__main__":
        return kind.__name__, canonical(getattr(value, "__dict__", None) or repr(value))
    if kind.__name__ == "ndarray":
        return str(value.dtype), canonical(value.tolist())
    if kind.__name__ == "DataFrame" or kind.__name__ == "Series":
        return kind.__name__, value.to_json()
    if kind is dict:
        return {key: canonical(part) for key, part in value.items()}
    if kind in {list, tuple}:
        return kind.__name__, [canonical(part) for part in value]
    return kind.__name__, value


def outcome(notebook: Notebook, case: Case, ran: Ran) -> dict[str, Any]:
    """All that a case looks at."""
    raised = name_of(ran.error) if ran.error else ""
    expressions = [
        *case.same,
        *(difference.expression for difference in case.differs if difference.expression != RAISED),
    ]
    values = {} if ran.error else {text: canonical(notebook.value(text)) for text in expressions}
    return {**values, RAISED: raised, "shown": ran.shown if case.shows else None}


def run_plain(notebook: Notebook, case: Case) -> dict[str, Any]:
    notebook.must(case.setup or "pass")
    return outcome(notebook, case, notebook.run(case.cell))


def run_remote(notebook: Notebook, case: Case, way: str) -> dict[str, Any]:
    notebook.must(case.setup or "pass")
    waits = case.raises or case.shows or any(d.expression == RAISED for d in case.differs)
    options = f"{WAYS[way]} {case.options} {'--block' if waits else ''}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LostChangeWarning)
        ran = notebook.run(f"%%remote {options}\n{case.cell}")
    if way == "remote" and notebook.screens:
        ran.shown += notebook.screens[-1].texts
    return outcome(notebook, case, ran)


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, Any]]:
    """What plain IPython makes of each case, once."""
    return {}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cell_gives_the_same_however_it_runs(
    notebook: Notebook, cluster: None, plain: dict[str, dict[str, Any]], case: Case, way: str
) -> None:
    if case.name not in plain:
        plain[case.name] = run_plain(notebook, case)
        notebook.clear()
    expected, found = plain[case.name], run_remote(notebook, case, way)
    for difference in case.differs:
        differs = found.pop(difference.expression)
        if difference.expression == RAISED:
            assert differs == difference.task
        else:
            assert differs == canonical(as_written(difference.task)), difference.why
        assert differs != expected[difference.expression], f"no difference in {difference.expression}"
    assert found == {key: value for key, value in expected.items() if key in found}
    if case.raises:
        assert found[RAISED] == case.raises


def as_written(text: str) -> Any:
    """The value that a case gives: an expression, or else a word."""
    try:
        return eval(text) if not text.isidentifier() or text in {"True", "False"} else text
    except SyntaxError:
        return text


def test_there_are_many_cases_and_each_checks_something() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.same or case.raises or case.shows or case.differs for case in CASES)
