"""What a disk does not give back as it was written is made again, or is an error that says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb
from tests.support.disks import damage

MB = 1_000_000
FIRST = 7_000_000_000


@pytest.fixture
def folder() -> Iterator[Path]:
    info = raynb.init(num_cpus=2, object_store_memory=30 * MB)
    yield Path(str(info["session_dir"])) / "spill"
    raynb.shutdown()


@raynb.remote
def make(number: int) -> np.ndarray[Any, Any]:
    return np.full(10 * MB // 8, FIRST + number)


@raynb.remote
def total(*arrays: np.ndarray[Any, Any]) -> int:
    return sum(int(array.sum()) // array.size - FIRST for array in arrays)


def pattern(number: int) -> bytes:
    return np.full(1000, FIRST + number).tobytes()


def results(folder: Path) -> list[Any]:
    """Six of them. The last two lie on disk, damaged."""
    refs = []
    for number in range(6):
        refs.append(make.remote(number))
        raynb.wait(refs[-1:], timeout=30)
    for number in (4, 5):
        damage(folder, pattern(number))
    return refs


def test_a_result_is_made_again(folder: Path) -> None:
    values = raynb.get(results(folder), timeout=30)
    assert all((value == FIRST + number).all() for number, value in enumerate(values))


def test_arguments_of_a_task_are_made_again(folder: Path) -> None:
    assert raynb.get(total.remote(*results(folder)[3:]), timeout=30) == 12


def test_arguments_of_a_call_are_made_again(folder: Path) -> None:
    @raynb.remote
    class Reader:
        def total(self, *arrays: np.ndarray[Any, Any]) -> int:
            return sum(int(array.sum()) // array.size - FIRST for array in arrays)

    assert raynb.get(Reader.remote().total.remote(*results(folder)[3:]), timeout=30) == 12


def test_what_was_put_is_an_error_that_names_the_file(folder: Path) -> None:
    refs = [raynb.put(np.full(10 * MB // 8, FIRST + number)) for number in range(5)]
    path = damage(folder, pattern(4))
    with pytest.raises(raynb.exceptions.ObjectLostError, match=f"its bytes in {path} are not those that were written"):
        raynb.get(refs[4], timeout=30)
    assert int(raynb.get(refs[3], timeout=30)[0]) == FIRST + 3


def test_what_a_generator_has_yielded_is_made_again(folder: Path) -> None:
    @raynb.remote(num_returns="streaming")
    def several() -> Iterator[np.ndarray[Any, Any]]:
        for number in range(6):
            yield np.full(10 * MB // 8, FIRST + number)

    refs = list(several.remote())
    damage(folder, pattern(5))
    assert int(raynb.get(refs[5], timeout=30)[-1]) == FIRST + 5


def test_where_an_input_is_gone_the_error_says_so(folder: Path) -> None:
    @raynb.remote
    def more(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return array + 1

    made = [more.remote(raynb.put(np.full(10 * MB // 8, FIRST + number))) for number in range(6)]
    raynb.wait(made, num_returns=len(made), timeout=30)
    kept = make.remote(10)
    raynb.wait([kept], timeout=30)
    last = more.remote(raynb.put(np.full(10 * MB // 8, FIRST + 20)))
    raynb.wait([last], timeout=30)
    damage(folder, pattern(21))
    with pytest.raises(raynb.exceptions.ObjectLostError, match="an input of the task that made it is there no longer"):
        raynb.get(last, timeout=30)
    assert len(made) == 6
