"""Large things that go along by value are named, with their size and what to do, once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from raynb.runtime.codec.captures import LARGE_BYTES, LargeCaptureWarning, large_variables, pickled_size
from raynb.runtime.codec.functions import pack_function


def table() -> Any:
    """Different each time, so that each is warned of."""
    return np.random.default_rng().random(LARGE_BYTES // 8 + 1)


def of_main(source: str, **names: Any) -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__", **names}
    exec(source, namespace)
    return namespace["f"]


def a_global() -> Any:
    return of_main("def f():\n    return table.sum()", table=table())


def a_closure() -> Any:
    data = table()
    return lambda: data.sum()


def a_default() -> Any:
    def with_default(x: Any = table()) -> Any:  # noqa: B008  # this is what it is about
        return x

    return with_default


def a_class_attribute() -> Any:
    class Model:
        weights = table()

    return Model


def of_a_helper() -> Any:
    return of_main("def helper():\n    return table\ndef f():\n    return helper()", table=table())


def of_a_method() -> Any:
    return of_main("class f:\n    def m(self):\n        return table", table=table())


@pytest.mark.parametrize(
    ("make", "where", "name"),
    [
        (a_global, "global variable 'table' of function f", "table"),
        (a_closure, "closure variable 'data' of function a_closure", "data"),
        (a_default, "default of 'x' of function a_default.<locals>.with_default", "..."),
        (a_class_attribute, "attribute 'weights' of class a_class_attribute.<locals>.Model", "..."),
        (of_a_helper, "global variable 'table' of function helper", "table"),
        (of_a_method, "global variable 'table' of function f.m", "table"),
    ],
)
def test_the_variable_its_size_and_put_are_named(make: Callable[[], Any], where: str, name: str) -> None:
    with pytest.warns(LargeCaptureWarning) as told:
        pack_function(make())
    [warning] = told
    message = str(warning.message)
    assert where in message and "10.0 MB" in message and f"raynb.put({name})" in message
    assert warning.filename == __file__


def test_it_is_told_once_for_each_content() -> None:
    function = a_global()
    with pytest.warns(LargeCaptureWarning):
        pack_function(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pack_function(function)


def test_what_is_small_or_goes_by_name_is_not_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pack_function(of_main("def f():\n    return np.zeros(len(small))", np=np, small=table()[: LARGE_BYTES // 16]))


def test_sizes_are_those_of_pickles_with_their_buffers() -> None:
    assert pickled_size(np.zeros(1000)) == pytest.approx(8000, rel=0.1)
    assert pickled_size(b"x" * 5000) == pytest.approx(5000, rel=0.1)
    assert pickled_size(np.zeros) < 200
    assert pickled_size(i for i in range(3)) == 0


def test_several_variables_are_listed_the_largest_first() -> None:
    function = of_main("def f():\n    return a, b, c", a=table(), b=np.concatenate([table(), table()]), c=1)
    steps = [step for step, _ in large_variables(function)]
    assert steps == ["global variable 'b' of function f", "global variable 'a' of function f"]
