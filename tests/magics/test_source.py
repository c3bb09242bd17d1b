"""A cell's text keeps the line numbers that the person sees."""

from __future__ import annotations

import linecache
import traceback
from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from raynb.magics import source
from raynb.magics.source import CellSource, numbered

manager: Any = TransformerManager  # has no types
transform = manager().transform_cell


def line_of(text: str, word: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if word in line)


@pytest.mark.parametrize(
    "whole",
    [
        "%%remote\nhere = 1",
        "\n\n%%remote --block\n\n\nhere = 1\n",
        "%%time\n%%remote\nhere = 1\n",
        "%%remote\n    here = 1\n    x = 2",
        "%%remote\n# comment\n\nx = 1\nhere = 2\n\n\n",
        "%%remote\n  \n\there = 2",
    ],
)
def test_lines_above_the_body_are_counted(whole: str) -> None:
    body = whole.split("%%remote", 1)[1].split("\n", 1)[1]
    assert line_of(numbered(body, whole, transform), "here") == line_of(whole, "here")


def test_a_body_that_is_not_the_end_of_the_cell_has_one_line_above() -> None:
    assert numbered("here = 1", ">>> %%remote\n... here = 1", transform) == "\nhere = 1\n"


def test_magics_become_calls_that_can_be_found() -> None:
    assert "get_ipython().system('ls')" in numbered("!ls", "%%remote\n!ls", transform)


def test_a_traceback_shows_the_line_as_typed() -> None:
    cell = CellSource("\n\n1 / 0  # here", "%%remote\n\n1 / 0  # here", filename="<cell of a test>")
    cell.remember_lines()
    with pytest.raises(ZeroDivisionError) as raised:
        exec(cell.compile(cell.parse()))
    shown = "".join(traceback.format_exception(raised.value))
    assert 'File "<cell of a test>", line 3' in shown
    assert "1 / 0  # here" in shown


def test_a_worker_keeps_the_lines_of_so_many_cells_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LINECACHE_CELLS_MAX", 3)
    monkeypatch.setattr(source, "_shown_here", {})
    for number in range(5):
        CellSource("x", filename=f"<cell {number}>").remember_lines()
    CellSource("x", filename="<cell 2>").remember_lines()
    CellSource("x", filename="<cell 5>").remember_lines()
    kept = [number for number in range(6) if f"<cell {number}>" in linecache.cache]
    assert kept == [2, 4, 5]


def test_future_flags_of_the_session_hold() -> None:
    import __future__

    text = "def f(a: nope): ..."
    cell = CellSource(text, flags=__future__.annotations.compiler_flag)
    exec(cell.compile(cell.parse()))
    plain = CellSource(text)
    with pytest.raises(NameError):
        exec(plain.compile(plain.parse()))
