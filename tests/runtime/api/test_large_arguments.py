"""A large argument that comes again and again is told of, by its name in the caller's code."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.support.module import Ray

pytestmark = pytest.mark.usefixtures("raynb_only")


def test_the_second_call_with_the_same_large_argument_warns_once(ray: Ray) -> None:
    @ray.remote
    def length(x: Any, *, more: Any = None) -> int:
        return len(x)

    table = np.random.default_rng(1).random(1_500_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ray.get(length.remote(table)) == len(table)
    with pytest.warns(UserWarning, match=r"`table`, argument 0 of length \(12.0 MB\).*raynb.put\(table\)") as told:
        ray.get(length.remote(table))
    assert [warning.filename for warning in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ray.get(length.remote([], more=table))
        ref = ray.put(table)
        ray.get([length.remote(ref) for _ in range(3)])


def test_different_large_arguments_are_what_the_store_is_for(ray: Ray) -> None:
    @ray.remote
    def length(x: Any) -> int:
        return len(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(3):
            ray.get(length.remote(np.random.default_rng(seed).random(1_500_000)))
        for _ in range(3):
            ray.get(length.remote(np.ones(1_500_000)))
            ray.get(length.remote(b"x" * 11_000_000))


def test_bytes_and_what_an_object_holds_are_told_of_too(ray: Ray) -> None:
    @ray.remote
    def length(x: Any) -> int:
        return len(x)

    class Holder:
        data = np.random.default_rng(7).random(1_500_000)

    text = b"y" * 11_000_000
    ray.get([length.remote(text), length.remote(Holder.data)])
    with pytest.warns(UserWarning, match=r"`text`, argument 0 of length \(11.0 MB\).*raynb.put\(text\)"):
        ray.get(length.remote(text))
    with pytest.warns(UserWarning, match=r"argument 0 of length \(12.0 MB\).*raynb.put\(...\)"):
        ray.get(length.remote(Holder.data))
