"""A reference that is used as its value: the error says how to get the value."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.module import Ray

pytestmark = pytest.mark.usefixtures("raynb_only")

USES: dict[str, Callable[[Any], object]] = {
    "+": lambda ref: ref + 1,
    "reflected +": lambda ref: 1 + ref,
    "sum": lambda ref: sum([ref, ref]),
    "*": lambda ref: ref * 2,
    "@": lambda ref: operator.matmul(ref, ref),
    "-x": lambda ref: -ref,
    ">": lambda ref: ref > 3,
    "<": lambda ref: ref < 3,
    "reflected >=": lambda ref: ref <= 3,
    "index": lambda ref: ref[0],
    "len": len,
    "iteration": list,
    "in": lambda ref: 3 in ref,
    "int": int,
    "float": float,
    "format": lambda ref: f"{ref:.2f}",
}


@pytest.mark.parametrize("use", USES)
def test_a_reference_is_no_value_and_says_how_to_get_it(ray: Ray, use: str) -> None:
    ref = ray.put(5)
    with pytest.raises(TypeError, match=r"`await ref` or `ray.get\(ref\)` gives it"):
        USES[use](ref)


def test_an_attribute_of_the_value_is_not_the_references(ray: Ray) -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'shape'.*`ray.get"):
        _ = ray.put([1]).shape
    assert not hasattr(ray.put(1), "columns")


def test_what_programs_do_with_references_goes_on_to_work(ray: Ray) -> None:
    one, two = ray.put(1), ray.put(2)
    assert one and one == one and one != two
    assert sorted([two, one]) == sorted([one, two])
    assert len({one, two, one}) == 2
    assert str(one) == f"{one}" == repr(one)
    assert one in [one, two]
    assert not callable(one)
    assert np.array([one, two]).shape == (2,)
