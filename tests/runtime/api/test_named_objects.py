"""Objects with a name: they outlive who has put them."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest

from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture(autouse=True)
def nothing_left(ray: Ray) -> Any:
    yield
    for name in ray.util.list_named_objects():
        ray.delete_object(name)


def test_an_object_is_found_by_its_name_from_anywhere(ray: Ray) -> None:
    ref = ray.put({"a": 1}, name="mine")
    assert ray.get(ref) == {"a": 1}

    @ray.remote
    def look() -> object:
        return ray.get(ray.get_object("mine"))

    assert ray.get(look.remote()) == {"a": 1}
    assert ray.get(ray.get_object("mine")) == {"a": 1}
    assert ray.util.list_named_objects() == ["mine"]


def test_it_outlives_the_driver_that_has_put_it(ray: Ray, cluster: Any, python: str) -> None:
    program = (
        "import sys, numpy, raynb as ray\n"
        f"ray.init({cluster['address']!r}, namespace='spec')\n"
        "ray.put(numpy.arange(100_000), name='left behind')\n"
    )
    subprocess.run([python, "-c", program], check=True, timeout=60)
    found = ray.get(ray.get_object("left behind"))
    assert found[-1] == 99_999
    assert not found.flags.writeable


def test_a_later_one_takes_the_name(ray: Ray) -> None:
    ray.put(1, name="twice")
    ray.put(2, name="twice")
    assert ray.get(ray.get_object("twice")) == 2


def test_its_memory_is_free_when_it_is_deleted(ray: Ray) -> None:
    before = ray.object_store_usage()["object_bytes"]
    ray.put(np.ones(10_000_000), name="large")
    # The copy of whoever has put it goes by itself.
    wait_until(lambda: ray.object_store_usage()["object_bytes"] - before == pytest.approx(80e6, rel=0.01))
    ray.delete_object("large")
    wait_until(lambda: ray.object_store_usage()["object_bytes"] == before)


def test_a_name_that_nothing_has_is_an_error_that_lists_those_there_are(ray: Ray) -> None:
    ray.put(1, name="here")
    with pytest.raises(ValueError, match=r"'there'.*there are: here"):
        ray.get_object("there")
    with pytest.raises(ValueError, match="'there'"):
        ray.delete_object("there")
    with pytest.raises(ValueError, match="not empty"):
        ray.put(1, name="")


def test_namespaces_keep_them_apart(ray: Ray) -> None:
    ray.put(1, name="apart")
    with pytest.raises(ValueError, match="none at all"):
        ray.get_object("apart", namespace="elsewhere")


def test_the_keeper_is_not_listed_among_the_users_actors(ray: Ray) -> None:
    ray.put(1, name="kept")
    assert ray.util.list_named_actors() == []
