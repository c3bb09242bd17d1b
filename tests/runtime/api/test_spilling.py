"""Objects that memory has no room for: on disk, and as good as in memory."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb
from raynb._private.internal_api import memory_summary
from tests.support.waiting import wait_until

MB = 1_000_000
CAPACITY = 60 * MB


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    raynb.init(num_cpus=2, object_store_memory=CAPACITY)
    yield raynb
    raynb.shutdown()


def array(number: int, megabytes: int = 10) -> np.ndarray[Any, Any]:
    return np.full(megabytes * MB, number, np.uint8)


def spilled() -> int:
    gc.collect()
    return int(raynb.object_store_usage()["spilled_bytes"])


def files() -> list[Path]:
    return list(Path(str(raynb.init(ignore_reinit_error=True)["session_dir"])).glob("spill/*"))


def test_more_than_memory_holds_is_put_and_read_again(ray: Any) -> None:
    refs = [ray.put(array(number)) for number in range(20)]
    assert spilled() >= 130 * MB
    assert files() and all(path.stat().st_mode & 0o777 == 0o600 for path in files())
    for number in range(20):
        assert (ray.get(refs[number]) == number).all()
    del refs
    wait_until(lambda: spilled() == 0 and not files(), 20, "disk is free again")


def test_the_summary_of_memory_counts_what_is_on_disk_apart(ray: Any) -> None:
    refs = [ray.put(array(number, 20)) for number in range(4)]
    text = memory_summary(stats_only=True)
    assert "Plasma memory usage 38 MiB, 2 objects, 66.67% full" in text and "\nSpilled 38 MiB, 2 objects\n" in text
    del refs
    wait_until(lambda: "Plasma memory usage 0 MiB, 0 objects" in memory_summary(stats_only=True))
    assert "Spilled" not in memory_summary(stats_only=True)


def test_results_of_tasks_and_their_arguments_go_to_disk_too(ray: Any) -> None:
    make = ray.remote(array)

    @ray.remote
    def total(*arrays: np.ndarray[Any, Any]) -> int:
        return sum(int(each.sum()) for each in arrays)

    refs = [make.remote(1) for _ in range(15)]
    assert ray.get(total.remote(*refs), timeout=60) == 150 * MB
    assert ray.get([total.remote(ref) for ref in refs], timeout=60) == [10 * MB] * 15
    assert spilled() > 50 * MB


def test_an_object_larger_than_the_memory(ray: Any) -> None:
    assert int(ray.get(ray.put(array(3, 200))).sum()) == 600 * MB
    make = ray.remote(array)
    assert int(ray.get(make.remote(2, 200), timeout=60).sum()) == 400 * MB


def test_a_view_of_what_is_on_disk_keeps_it(ray: Any) -> None:
    refs = [ray.put(array(number)) for number in range(12)]
    views = ray.get(refs)
    del refs
    assert [int(view[0]) for view in views] == list(range(12))
    assert not views[-1].flags.writeable
    del views
    wait_until(lambda: spilled() == 0, 20, "disk is free again")


@pytest.mark.parametrize("by", ["spill_directory", "object_spilling_config", "an argument"])
def test_a_directory_of_ones_own_which_is_left_clean(tmp_path: Path, by: str) -> None:
    raynb.shutdown()
    folder = tmp_path / "made" / "when it is needed"
    place = json.dumps({"type": "filesystem", "params": {"directory_path": str(folder)}})
    how: dict[str, Any] = {
        "spill_directory": {"_system_config": {"spill_directory": str(folder)}},
        "object_spilling_config": {
            "_system_config": {"automatic_object_spilling_enabled": True, "object_spilling_config": place}
        },
        "an argument": {"object_spilling_directory": str(folder)},
    }[by]
    raynb.init(num_cpus=1, object_store_memory=CAPACITY, **how)
    try:
        refs = [raynb.put(array(number)) for number in range(10)]
        (found,) = folder.glob("raynb-*/*")
        assert list(found.iterdir())
        assert int(raynb.get(refs[-1])[0]) == 9
    finally:
        raynb.shutdown()
    wait_until(lambda: not found.exists(), 10, "the session's folder is gone")


def test_a_full_disk_is_an_error_of_its_own(tmp_path: Path) -> None:
    raynb.shutdown()
    # Full from the beginning, whatever is on it.
    config = {"spill_directory": str(tmp_path), "local_fs_capacity_threshold": 0.0, "store_full_timeout_s": 0.5}
    raynb.init(num_cpus=1, object_store_memory=CAPACITY, _system_config=config)
    try:
        refs = [raynb.put(array(number)) for number in range(4)]
        with pytest.raises(raynb.exceptions.OutOfDiskError, match=r"the disk is full to 0%.*\n(.*\n)*Who holds"):
            while True:
                refs.append(raynb.put(array(9)))

        @raynb.remote(max_retries=0)
        def make() -> Any:
            return array(1)

        with pytest.raises(raynb.exceptions.OutOfDiskError):
            raynb.get(make.remote(), timeout=60)
        del refs[1:]
        assert int(raynb.get(raynb.put(array(5)))[0]) == 5
    finally:
        raynb.shutdown()


def test_what_a_dead_session_left_on_disk_is_removed_by_the_next(tmp_path: Path) -> None:
    first = raynb.init(num_cpus=1, object_store_memory=CAPACITY, _system_config={"spill_directory": str(tmp_path)})
    (root,) = tmp_path.iterdir()
    left = root / "0123456789ab"
    left.mkdir(0o700)
    (left / "spill-1").write_bytes(b"left")
    living = next(path for path in root.iterdir() if path != left)
    raynb.shutdown()
    assert first["session_dir"].endswith(living.name)

    raynb.init(num_cpus=1, object_store_memory=CAPACITY, _system_config={"spill_directory": str(tmp_path)})
    assert not left.exists()
    raynb.shutdown()


def test_a_directory_that_can_not_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RuntimeError, match=f"spill_directory='{file}' can't be used"):
        raynb.init(num_cpus=1, _system_config={"spill_directory": str(file)})
