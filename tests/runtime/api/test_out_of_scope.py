"""Functions that are called when an object is gone (`CoreWorker.add_object_out_of_scope_callback`)."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


def watch(ref: Any, function: Any) -> bool:
    worker = importlib.import_module(f"{NAME}._private.worker").global_worker
    return bool(worker.core_worker.add_object_out_of_scope_callback(ref, function))


def test_a_function_is_called_once_when_the_last_reference_is_gone(ray: Ray) -> None:
    called: list[bytes] = []
    refs = [ray.put(0), ray.remote(lambda: 1).remote(), ray.put([1])]
    ids = [ref.binary() for ref in refs]
    assert all(watch(ref, called.append) for ref in refs)
    inside = ray.put([refs[0]])  # this refers to it, too
    refs.reverse()
    while refs:
        del refs[0]
        wait_until(lambda: {*ids[1:]} >= {*called} and len(called) == min(3 - len(refs), 2), 20)
    del inside
    wait_until(lambda: sorted(called) == sorted(ids), 20)


def test_an_object_that_is_freed_counts_as_gone(ray: Ray) -> None:
    called = threading.Event()
    ref = ray.put("free")
    assert watch(ref, lambda oid: called.set())
    importlib.import_module(f"{NAME}._private.internal_api").free([ref])
    assert called.wait(20)
    assert not watch(ref, lambda oid: None)


def test_an_error_of_one_function_stops_no_other(ray: Ray, capfd: Any) -> None:
    def fail(oid: bytes) -> None:
        raise LookupError("the function is broken")

    called = threading.Event()
    ref = ray.put("error")
    assert watch(ref, fail)
    assert watch(ref, lambda oid: called.set())
    del ref
    assert called.wait(20)
    assert "the function is broken" in capfd.readouterr().err
