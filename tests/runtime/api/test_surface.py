"""raynb has each name that Ray has, with that signature and those defaults; or says by name that it has not."""

from __future__ import annotations

from typing import Any

import pytest

import raynb
from raynb.runtime.api.options import ACTOR_OPTIONS, REFUSED, TASK_OPTIONS, checked
from tests.runtime.api.surface import Row, differences, find, listed, rows

NOT_YET: set[str] = set()
"""Rows of the table that nobody has made yet. What is made leaves the set: a test holds that."""


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: row.path)
def test_a_name_of_rays_has_its_signature(row: Row) -> None:
    if row.path in NOT_YET:
        with pytest.raises(AttributeError):
            find(row.path, "raynb")
    else:
        assert differences(row, find(row.path, "raynb")) == []


def test_the_names_that_are_not_made_are_rays() -> None:
    assert {row.path for row in rows()} >= NOT_YET


@pytest.mark.parametrize("kind", ["tasks", "actors"])
def test_an_option_of_rays_has_its_default_or_is_refused_by_name(kind: str) -> None:
    known = TASK_OPTIONS if kind == "tasks" else ACTOR_OPTIONS
    for entry in listed(f"options of {kind}"):
        name, _, default = entry.partition("=")
        if name in known:
            assert repr(known[name].default) == default, name
        else:
            assert repr(REFUSED[name]) == default, name
            checked({name: REFUSED[name]}, known, kind)  # as if it had not been said
            something: Any = object()
            with pytest.raises(ValueError, match=f"raynb does not support the option '{name}'"):
                checked({name: something}, known, kind)


def test_what_neither_has_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nowhere'"):
        raynb.nowhere  # type: ignore[attr-defined]  # noqa: B018


def test_graphs_of_rays_kind_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="raynb does not support "):
        raynb.remote(lambda: 1).bind()
    with pytest.raises(NotImplementedError, match=r"raynb does not support Empty.bind"):
        raynb.remote(type("Empty", (), {})).bind()
