"""Arrays, tables and frames: read where they lie in shared memory, and read-only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.module import Ray

LARGE = 1_000_000


def address(array: np.ndarray[Any, Any]) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def test_an_array_is_read_where_it_lies(ray: Ray) -> None:
    ref = ray.put(np.arange(LARGE))
    first, second = ray.get(ref), ray.get(ref)
    assert address(first) == address(second)
    assert np.array_equal(first, np.arange(LARGE))


def test_a_shared_array_can_not_be_written(ray: Ray) -> None:
    array = ray.get(ray.put(np.zeros(LARGE)))
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    copy = array.copy()
    copy[0] = 1
    assert array[0] == 0


def test_an_array_of_a_task_is_shared_in_both_directions(ray: Ray) -> None:
    @ray.remote
    def look(array: np.ndarray[Any, Any]) -> tuple[bool, Any]:
        return array.flags.writeable, np.full(LARGE, array[1])

    ref = ray.put(np.arange(LARGE))
    writeable, made = ray.get(look.remote(ref))
    assert writeable is False
    assert made.flags.writeable is False
    assert made[0] == 1 and len(made) == LARGE


def test_what_was_put_is_not_what_the_program_does_to_it_afterwards(ray: Ray) -> None:
    mine = np.zeros(LARGE)
    ref = ray.put(mine)
    mine[:] = 1
    assert ray.get(ref).sum() == 0
    assert mine.flags.writeable


def test_a_small_array_arrives_too(ray: Ray) -> None:
    assert np.array_equal(ray.get(ray.put(np.arange(3))), np.arange(3))


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(LARGE)[::3],
        np.arange(LARGE).reshape(1_000, -1).T,
        np.zeros((0, 5)),
        np.array(3.5),
        np.array(["text", "more"]),
        np.array([{"an": "object"}, None], dtype=object),
        np.zeros(10, dtype=[("x", "f8"), ("y", "i4")]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.arange(5) > 2,
        np.ones(LARGE, dtype=np.complex64),
    ],
    ids=[
        "fortran",
        "strided",
        "transposed",
        "empty",
        "scalar",
        "text",
        "objects",
        "record",
        "dates",
        "bool",
        "complex",
    ],
)
def test_arrays_of_any_layout_and_type_keep_it(ray: Ray, array: np.ndarray[Any, Any]) -> None:
    found = ray.get(ray.put(array))
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert np.array_equal(found, array)


def test_arrays_inside_containers_are_shared_too(ray: Ray) -> None:
    ref = ray.put({"a": [np.ones(LARGE)], "b": (np.zeros(LARGE), "text")})
    first, second = ray.get(ref), ray.get(ref)
    assert address(first["a"][0]) == address(second["a"][0])
    assert address(first["b"][0]) == address(second["b"][0])


def test_an_array_that_occurs_twice_in_a_value_is_the_same_one_afterwards(ray: Ray) -> None:
    array = np.ones(LARGE)
    first, second = ray.get(ray.put([array, array]))
    assert first is second


def test_an_array_outlives_its_ref(ray: Ray) -> None:
    array = ray.get(ray.put(np.arange(LARGE)))
    others = [ray.put(np.zeros(LARGE)) for _ in range(5)]  # would take its place, if it were free
    assert np.array_equal(array, np.arange(LARGE))
    del others


def test_a_view_of_an_array_keeps_it_alone(ray: Ray) -> None:
    view = ray.get(ray.put(np.arange(LARGE)))[10:20]
    others = [ray.put(np.zeros(LARGE)) for _ in range(5)]
    assert list(view) == list(range(10, 20))
    del others


def test_large_bytes_arrive_whole(ray: Ray) -> None:
    data = bytes(range(256)) * 10_000
    assert ray.get(ray.put(data)) == data
    assert ray.get(ray.put(bytearray(data))) == bytearray(data)


def test_an_arrow_table_is_read_where_it_lies(ray: Ray) -> None:
    table = pa.table({"x": np.arange(LARGE), "name": [str(n) for n in range(LARGE)]})
    ref = ray.put(table)
    first, second = ray.get(ref), ray.get(ref)
    assert first.equals(table)
    buffers = [found.column("x").chunk(0).buffers()[1].address for found in (first, second)]
    assert buffers[0] == buffers[1]


def test_a_frame_goes_to_a_task_and_comes_back_equal(ray: Ray) -> None:
    frame = pd.DataFrame(
        {
            "number": np.arange(LARGE) % 7,
            "real": np.linspace(0, 1, LARGE),
            "when": pd.date_range("2020-01-01", periods=LARGE, freq="min"),
            "kind": pd.Categorical(["a", "b"] * (LARGE // 2)),
        }
    )

    @ray.remote
    def summarise(frame: pd.DataFrame) -> Any:
        return frame.groupby("number")[["real"]].mean()

    ref = ray.put(frame)
    assert ray.get(ref).equals(frame)
    expected: Any = frame.groupby("number")[["real"]].mean()
    pd.testing.assert_frame_equal(ray.get(summarise.remote(ref)), expected)


def test_a_frame_is_read_where_it_lies(ray: Ray) -> None:
    ref = ray.put(pd.DataFrame({"x": np.arange(LARGE, dtype=float)}))
    first, second = ray.get(ref), ray.get(ref)
    assert address(first["x"].to_numpy()) == address(second["x"].to_numpy())
    assert not first["x"].to_numpy().flags.writeable
