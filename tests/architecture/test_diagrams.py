"""The pictures in ARCHITECTURE.md are those of the tables in the code."""

from __future__ import annotations

from tests.support import diagrams


def test_each_diagram_is_the_one_that_its_table_gives() -> None:
    document = diagrams.DOCUMENT.read_text()
    assert diagrams.drawn(document) == document, "run: python -m tests.support.diagrams"


def test_every_table_has_its_diagram() -> None:
    assert set(diagrams.BLOCK.findall(diagrams.DOCUMENT.read_text())) == set(diagrams.TABLES)
