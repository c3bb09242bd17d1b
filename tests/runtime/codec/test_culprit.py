from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import mmap
import queue
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Iterator
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


def keyword_default() -> Any:
    def k(*, guard: Any = LOCK) -> Any:
        return guard

    return k


def property_of_a_class() -> Any:
    namespace = {"LOCK": LOCK, "__name__": "__main__"}
    exec("def size(self):\n    return LOCK", namespace)

    class Sized:
        size = property(namespace["size"])  # type: ignore[arg-type]

    return Sized


def wrapped() -> Any:
    inner = local_function()

    @functools.wraps(inner)
    def call() -> Any:
        return inner()

    call.__qualname__ = "wrapped.<locals>.call"
    return call


def made_module() -> Any:
    module: Any = types.ModuleType("made")
    module.guard = LOCK
    return module


class Labels(dict[str, int]):
    def __init__(self, guard: Any) -> None:
        super().__init__(a=1)
        self.guard = guard


class Stateful:
    def __getstate__(self) -> Any:
        return {"inner": LOCK}


class Remade:
    def __reduce__(self) -> Any:
        return Remade, (1, LOCK)


class BadError(Exception):
    pass


class Worker(threading.Thread):
    pass


async def coroutine_function() -> None: ...


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
        (with_default(), "x: default of 'x' of function with_default.<locals>.h -> "),
        (dynamic_class(), "x: attribute 'shared' of class dynamic_class.<locals>.Dynamic -> "),
        (dynamic_class()(), "x: class of dynamic_class.<locals>.Dynamic -> attribute 'shared' of class "),
        (keyword_default(), "x: default of 'guard' of function keyword_default.<locals>.k -> "),
        (property_of_a_class(), "x: attribute 'size' of class property_of_a_class.<locals>.Sized -> global variable "),
        (collections.deque([1, LOCK]), "x: deque item 1 -> "),
        (collections.defaultdict(list, a=LOCK), "x: dict key 'a' -> "),
        (Labels(LOCK), "x: attribute 'guard' of Labels -> "),
        (types.SimpleNamespace(inner=[LOCK]), "x: attribute 'inner' of SimpleNamespace -> list item 0 -> "),
        (Stateful(), "x: state of Stateful -> dict key 'inner' -> "),
        (Remade(), "x: part 1 of Remade -> "),
        (iter([1, LOCK]), "x: part 0 of list_iterator -> list item 1 -> "),
        (made_module(), "x: attribute 'guard' of module made -> "),
        (wrapped(), "x: closure variable 'inner' of function wrapped.<locals>.call -> closure variable 'conn' of "),
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


def opened() -> Iterator[tuple[object, str]]:
    """Things that are tied to this process, and what their type is called."""
    with tempfile.TemporaryFile() as file:
        yield file, "_io.BufferedRandom cannot be pickled"
    with socket.socket() as plug:
        yield plug, "socket.socket cannot be pickled"
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        yield database, "sqlite3.Connection cannot be pickled"
        yield database.cursor(), "sqlite3.Cursor cannot be pickled"
        yield database.execute, "the object it is bound to -> sqlite3.Connection cannot be pickled"
    with mmap.mmap(-1, 10) as memory:
        yield memory, "mmap.mmap cannot be pickled"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield pool, "ThreadPoolExecutor cannot be pickled: its threads or processes belong to this process"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        yield child, "subprocess.Popen cannot be pickled: it is a child of this process"
    with contextlib.closing(coroutine_function()) as coroutine:
        yield coroutine, "coroutine cannot be pickled"
    yield (i for i in range(3)), "generator cannot be pickled"
    yield weakref.ref(Holder), "weakref.ReferenceType cannot be pickled"
    yield threading.RLock(), "_thread.RLock cannot be pickled"
    yield Worker(), "Worker cannot be pickled: a thread lives in one process"
    yield threading.Event(), "threading.Event cannot be pickled: it is shared by threads of one process"
    yield queue.Queue(), "queue.Queue cannot be pickled: it connects threads of one process"
    yield concurrent.futures.Future(), "Future cannot be pickled: it is fulfilled in this process"
    yield sys._getframe(), "frame cannot be pickled"


def test_what_is_tied_to_this_process_is_called_by_its_own_type_wherever_it_is() -> None:
    for thing, expected in opened():
        for holder, path in (
            (thing, "x: "),
            ({"k": [thing]}, "x: dict key 'k' -> list item 0 -> "),
            (types.SimpleNamespace(held=thing), "x: attribute 'held' of SimpleNamespace -> "),
            (functools.partial(print, thing), "x: its argument 0 -> "),
        ):
            found = find_culprit(holder, "x")
            assert found is not None and found.startswith(path), (found, path)
            assert expected in found.removeprefix(path), (found, expected)


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
