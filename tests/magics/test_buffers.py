"""Read-only arrays are found wherever they are, and what needs no namespace is known."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raynb.magics import buffers
from raynb.magics.buffers import holds_read_only, is_data, make_writable


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


ARRAY = read_only(np.zeros(3))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (ARRAY, True),
        (np.zeros(3), False),
        ({"a": [ARRAY]}, True),
        (SimpleNamespace(x=SimpleNamespace(y=deque([ARRAY]))), True),
        (SimpleNamespace(x=1, f=len, m=np, t=int), False),
        (pd.DataFrame({"a": read_only(np.zeros(3))}, copy=False), True),
        (memoryview(b"abc"), True),
        ([1, "a", None, np.float64(2)], False),
        ({}, False),
    ],
)
def test_a_read_only_array_is_found_anywhere_inside(value: object, found: bool) -> None:
    assert holds_read_only(value) is found


def test_the_search_ends_where_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    value: list[Any] = [[] for _ in range(100)]
    assert not holds_read_only(value)
    monkeypatch.setattr(buffers, "SEARCH_MAX", 50)
    assert holds_read_only(value)


def test_a_value_that_refers_to_itself_is_searched_once() -> None:
    value: list[Any] = []
    value.append(value)
    assert not holds_read_only(value)


def test_only_what_is_changed_and_read_only_is_copied() -> None:
    array, plain, other = read_only(np.zeros(3)), [1], read_only(np.ones(3))
    names: dict[str, Any] = {"a": array, "alias": array, "p": plain, "q": plain, "other": other}
    make_writable(names, {"a", "p", "missing"})
    names["a"][0] = 5
    assert names["alias"] is names["a"]
    assert names["p"] is plain and names["q"] is plain
    assert names["other"] is other


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ([1, {"a": (2.5, None)}, {b"x"}], True),
        (np.zeros(3), True),
        (pd.DataFrame({"a": [1]}), True),
        (pd.Series([1.5]), True),
        (np.float64(2), True),
        (datetime.now(), True),
        ({1: len}, False),
        (np.vectorize(len), False),
        (np.array([len], object), False),
        (pd.DataFrame({"a": [len]}), False),
        ([lambda: 1], False),
        (SimpleNamespace(), False),
        (len, False),
    ],
)
def test_what_surely_holds_no_code_is_data(value: object, data: bool) -> None:
    assert is_data(value) is data
