"""What kind of value something is, told from the value and from its bytes."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from raynb.runtime.codec.kinds import kind_of, kind_of_packed
from raynb.runtime.codec.values import pack
from raynb.runtime.messages.values import ValueKind

VALUES: list[tuple[Any, str]] = [
    (None, "NoneType"),
    (True, "bool"),
    (7, "int"),
    (134, "int"),
    (0x9485, "int"),
    (-1, "int"),
    (1 << 70, "int"),
    (1.5, "float"),
    (float.fromhex("0x1.594p+0"), "float"),
    (1j, "complex"),
    ("text", "str of 4"),
    ("é" * 70_000, "str of 140,000"),
    (b"bytes", "bytes of 5"),
    ((), "tuple"),
    ((1,), "tuple"),
    (([1], {}), "tuple"),
    ((1, 2, 3, 4), "tuple"),
    ([], "list"),
    ([(1,)], "list"),
    ({}, "dict"),
    ({"a": (1,)}, "dict"),
    ({1}, "set"),
    (frozenset({1}), "frozenset"),
    (np.zeros((2, 3), "f4"), "numpy.ndarray (2, 3) float32"),
    (np.arange(5), "numpy.ndarray (5,) int64"),
    (Decimal(1), "decimal.Decimal"),
    (Counter("a"), "collections.Counter"),
]


@pytest.mark.parametrize(("value", "said"), VALUES, ids=lambda each: str(each)[:20])
def test_a_small_values_kind_is_read_off_its_bytes(value: Any, said: str) -> None:
    assert str(kind_of_packed(pack(value).inline())) == said


@pytest.mark.parametrize(
    "value",
    [len, json.loads, Counter, lambda: 1, np.datetime64("2020")],
    ids=lambda each: str(each).partition(" at ")[0],
)
def test_where_the_bytes_do_not_say_nothing_is_guessed(value: Any) -> None:
    assert kind_of_packed(pack(value).inline()) is None


@pytest.mark.parametrize(("value", "said"), VALUES, ids=lambda each: str(each)[:20])
def test_the_type_is_the_same_where_the_value_is_at_hand(value: Any, said: str) -> None:
    assert str(kind_of(value)).partition(" ")[0] == said.partition(" ")[0]


def test_an_attribute_that_raises_is_not_asked_again() -> None:
    class Trap:
        @property
        def shape(self) -> Any:
            raise RuntimeError("no")

    assert kind_of(Trap()).shape is None


def test_a_library_is_named_as_people_import_it() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert kind_of(frame) == ValueKind("pandas.DataFrame", (2, 2))
    assert kind_of_packed(pack(frame).inline()) == ValueKind("pandas.DataFrame")
