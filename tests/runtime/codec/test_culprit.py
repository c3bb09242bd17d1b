from __future__ import annotations

import functools
import threading
from typing import Any

import pytest

from raynb.runtime.codec.culprit import PARTS_MAX, find_culprit

LOCK = threading.Lock()
NO_LOCK = r"_thread.lock cannot be pickled: cannot pickle '_thread.lock' object"


class Holder:
    def __init__(self) -> None:
        self.fine = 1
        self.lock = LOCK

    def method(self) -> None: ...


class Slotted:
    __slots__ = ("inside",)

    def __init__(self) -> None:
        self.inside = LOCK


def local_function() -> Any:
    conn = LOCK

    def f() -> Any:
        return conn

    return f


def uses_a_global() -> Any:
    namespace = {"handle": LOCK, "__name__": "__main__"}
    exec("def g():\n    return [handle for _ in range(3)]", namespace)
    return namespace["g"]


def with_default() -> Any:
    def h(x: Any = LOCK) -> Any:
        return x

    return h


def dynamic_class() -> Any:
    class Dynamic:
        shared = LOCK

    return Dynamic


class BadError(Exception):
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, "x: "),
        ({"lock": LOCK}, "x: dict key 'lock' -> "),
        ([1, (2, LOCK)], "x: list item 1 -> tuple item 1 -> "),
        ({"a": [{"b": Holder()}]}, "x: dict key 'a' -> list item 0 -> dict key 'b' -> attribute 'lock' of Holder -> "),
        (Slotted(), "x: attribute 'inside' of Slotted -> "),
        (Holder().method, "x: the object it is bound to -> attribute 'lock' of Holder -> "),
        (functools.partial(print, LOCK), "x: its argument 0 -> "),
        (functools.partial(dict, file=LOCK), "x: its argument 'file' -> "),
        (local_function(), "x: closure variable 'conn' of function local_function.<locals>.f -> "),
        (uses_a_global(), "x: global variable 'handle' of function g -> "),
        (with_default(), "x: default 0 of function with_default.<locals>.h -> "),
        (dynamic_class(), "x: attribute 'shared' of class dynamic_class.<locals>.Dynamic -> "),
        (dynamic_class()(), "x: class of dynamic_class.<locals>.Dynamic -> attribute 'shared' of class "),
        (BadError("m", LOCK), "x: argument 1 of BadError -> "),
        ([local_function()], "x: list item 0 -> closure variable 'conn' of function "),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_path_to_the_culprit_is_told(value: object, path: str) -> None:
    found = find_culprit(value, "x")
    assert found is not None
    assert found.startswith(path), found
    assert found.endswith("_thread.lock cannot be pickled: cannot pickle '_thread.lock' object"), found


def test_a_value_without_a_culprit_has_none() -> None:
    assert find_culprit({"a": [1, 2]}, "x") is None


def test_a_value_that_contains_itself_is_searched_once() -> None:
    loop: list[Any] = []
    loop += [loop, {"again": loop}, LOCK]
    found = find_culprit(loop, "x")
    assert found is not None and "_thread.lock" in found


def test_a_huge_value_is_not_searched_to_its_end() -> None:
    huge: list[Any] = [0] * (PARTS_MAX + 10)
    huge.append(LOCK)
    assert find_culprit(huge, "x") == "x: list cannot be pickled: cannot pickle '_thread.lock' object"


def test_a_repr_that_fails_does_not_matter() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError

    found = find_culprit({Unprintable(): LOCK}, "x")
    assert found is not None and found.startswith("x: dict key tests.runtime")
