"""What another node's disk, or one's own, does not give back as it was written is had from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb
from tests.support.disks import damage
from tests.support.nodes import several_nodes

MB = 2**20
FIRST = 7_000_000_000
THERE = {"resources": {"there": 1}, "num_cpus": 0}


@raynb.remote(**THERE)
def make(number: int) -> np.ndarray[Any, Any]:
    return np.full(10 * MB // 8, FIRST + number)


def pattern(number: int) -> bytes:
    return np.full(1000, FIRST + number).tobytes()


def made(count: int) -> list[Any]:
    refs = []
    for number in range(count):
        refs.append(make.remote(number))
        raynb.wait(refs[-1:], timeout=30, fetch_local=False)
    return refs


def test_what_comes_damaged_from_another_node_is_made_again() -> None:
    with several_nodes() as nodes:
        there = nodes.add(num_cpus=1, resources={"there": 4}, object_store_memory=30 * MB)
        refs = made(6)
        damage(Path(there.info.session_dir) / "spill", pattern(5))
        assert (raynb.get(refs[5], timeout=30) == FIRST + 5).all()


def test_what_was_put_is_an_error_that_says_so() -> None:
    put = raynb.remote(**THERE)(lambda: [raynb.put(np.full(10 * MB // 8, FIRST + number)) for number in range(6)])
    with several_nodes() as nodes:
        there = nodes.add(num_cpus=1, resources={"there": 4}, object_store_memory=30 * MB)
        refs = raynb.get(put.remote(), timeout=30)
        damage(Path(there.info.session_dir) / "spill", pattern(5))
        with pytest.raises(raynb.exceptions.ObjectLostError, match="was damaged on the disk that it came from"):
            raynb.get(refs[5], timeout=30)


def test_a_damaged_copy_is_fetched_anew() -> None:
    with several_nodes(object_store_memory=30 * MB) as nodes:
        nodes.add(num_cpus=1, resources={"there": 4}, object_store_memory=200 * MB)
        refs = made(6)
        kept = raynb.get(refs[:4], timeout=30)
        raynb.wait(refs, num_returns=6, timeout=30, fetch_local=True)
        damage(Path(nodes.head.info.session_dir) / "spill", pattern(5))
        assert (raynb.get(refs[5], timeout=30) == FIRST + 5).all()
        runs = [row["attempt_number"] for row in raynb.util.state.list_tasks(limit=100) if "make" in row["name"]]
        assert len(kept) == 4 and runs == [0] * 6
        del kept
