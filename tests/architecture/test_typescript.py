"""The front end's types are those of the messages that it exchanges with the event hub."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import typescript


def test_the_generated_types_are_those_of_the_messages() -> None:
    assert typescript.GENERATED.read_text() == typescript.generated(), "run: python -m tests.support.typescript"


@pytest.mark.parametrize(
    ("hint", "written"),
    [
        (float | None, "number | null"),
        (list[tuple[float, int, str]], "[number, number, string][]"),
        (tuple[str, ...], "string[]"),
        (dict[str, Any], "Record<string, unknown>"),
        (list[int | None], "(number | null)[]"),
    ],
)
def test_types_are_translated(hint: Any, written: str) -> None:
    assert typescript.expression(hint) == written


def test_a_type_that_json_has_not_is_an_error() -> None:
    with pytest.raises(TypeError, match="no TypeScript for"):
        typescript.expression(set)


def test_only_what_a_screen_sends_has_optional_fields() -> None:
    text = typescript.generated()
    asked, told = text.split("export interface GraphNode")
    assert "  depth?: number;" in asked
    conversation = told.index("export interface Subscribe")
    assert "?:" not in told[:conversation]
