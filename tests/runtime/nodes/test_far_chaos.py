"""Values that wander between nodes are right, whatever dies: each is held against what it must be."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import raynb
from raynb.cluster_utils import ClusterNode
from tests.runtime.nodes.stores import usage
from tests.support.nodes import Nodes, several_nodes
from tests.support.waiting import wait_until

LASTS_S = 12.0
NODE_DIES_EACH_S = 4.0
GROUPS = ("first", "second", "third")
SIZES = (20_000, 125_000, 600_000, 1_500_000)
LIVE_MAX = 16


class Known(NamedTuple):
    """A reference, and what every item of its array is."""

    ref: Any
    value: float


@raynb.remote(num_cpus=0, max_retries=-1)
def make(size: int, value: float) -> np.ndarray[Any, Any]:
    return np.full(size, value)


@raynb.remote(num_cpus=0, max_retries=-1)
def add_up(*arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    assert all((array == array[0]).all() for array in arrays), "two objects in one"
    return np.full(arrays[0].shape, sum(float(array[0]) for array in arrays))


@raynb.remote(num_cpus=0, max_retries=-1)
def look(refs: list[Any]) -> list[float]:
    return [float(array[-1]) for array in raynb.get(refs)]


class Wanderings:
    """A random program, and who dies meanwhile."""

    def __init__(self, nodes: Nodes, seed: int) -> None:
        self.draw = random.Random(seed)
        self.nodes = nodes
        self.groups = {group: [self.node(group)] for group in GROUPS[1:]}
        self.live: list[Known] = []

    def node(self, group: str) -> ClusterNode:
        return self.nodes.add(num_cpus=2, resources={group: 100})

    def somewhere(self) -> dict[str, Any]:
        return {"resources": {self.draw.choice(GROUPS): 1}}

    def some(self) -> list[Known]:
        return [self.draw.choice(self.live) for _ in range(self.draw.randrange(1, 4))]

    def step(self) -> None:
        draw, value = self.draw, float(self.draw.randrange(1000))
        what = draw.random()
        if len(self.live) < 3 or what < 0.35:
            size = draw.choice(SIZES)
            made = (
                make.options(**self.somewhere()).remote(size, value) if what < 0.3 else raynb.put(np.full(size, value))
            )
            self.live.append(Known(made, value))
        elif what < 0.6:
            parts = self.some()
            total = add_up.options(**self.somewhere()).remote(*[part.ref for part in parts])
            self.live.append(Known(total, sum(part.value for part in parts)))
        elif what < 0.75:
            parts = self.some()
            seen = raynb.get(look.options(**self.somewhere()).remote([part.ref for part in parts]), timeout=60)
            assert seen == [part.value for part in parts]
        else:
            known = draw.choice(self.live)
            assert (raynb.get(known.ref, timeout=60) == known.value).all()
        while len(self.live) > LIVE_MAX:
            self.live.pop(draw.randrange(len(self.live)))

    def node_dies(self) -> None:
        group = self.draw.choice(GROUPS[1:])
        self.groups[group].append(self.node(group))
        self.nodes.kill(self.groups[group].pop(0))

    def worker_dies(self) -> None:
        alive = raynb.util.state.list_workers(filters=[("is_alive", "=", True)])
        victims = [row["pid"] for row in alive if row["pid"] != os.getpid() and _is_worker(row["pid"])]
        if victims:
            with suppress(ProcessLookupError):
                os.kill(self.draw.choice(victims), signal.SIGKILL)


def _is_worker(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::")
    except OSError:
        return False


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with several_nodes(num_cpus=1, resources={GROUPS[0]: 100}) as found:
        yield found


def test_values_that_wander_between_nodes_are_right_whatever_dies(nodes: Nodes) -> None:
    wanderings = Wanderings(nodes, seed=1)
    end = time.monotonic() + LASTS_S
    node_dies = time.monotonic() + NODE_DIES_EACH_S
    while time.monotonic() < end:
        wanderings.step()
        if time.monotonic() > node_dies:
            wanderings.node_dies()
            wanderings.worker_dies()
            node_dies = time.monotonic() + NODE_DIES_EACH_S
    wanderings.live.clear()
    for node in nodes.cluster.list_all_nodes():
        wait_until(lambda node=node: usage(node)["objects"] == 0, 15, what=f"{node!r} has no objects")
