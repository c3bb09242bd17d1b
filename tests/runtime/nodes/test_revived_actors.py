"""Results of actors that have gone out of scope when their node dies: the actors live again for them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb
from raynb import ObjectRef
from raynb.cluster_utils import ClusterNode
from raynb.exceptions import ObjectReconstructionFailedError
from raynb.util.state import get_actor, list_actors
from raynb.util.state.common import ActorState
from tests.runtime.nodes.test_node_losses import BIG, THERE, Runs, make, no_objects_left, replace
from tests.support.nodes import Nodes
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until


@raynb.remote(num_cpus=0, resources=THERE)
class Maker:
    def __init__(self, runs: Path, base: Any) -> None:
        self.note = Runs(runs).note
        self.base = float(np.asarray(base).flat[0])
        self.made = 0
        self.note("init")

    def make(self, more: float) -> np.ndarray[Any, Any]:
        self.made += 1
        self.note(str(more))
        return np.full(BIG, self.base + more)

    def where(self) -> tuple[int, bool]:
        context = raynb.get_runtime_context()
        return os.getpid(), context.was_current_actor_reconstructed


@pytest.fixture
def there(nodes: Nodes) -> ClusterNode:
    """A node beside the head, where actors live that ask for it."""
    return nodes.add(num_cpus=1, resources={"there": 8})


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def state_of(actor_id: str) -> ActorState:
    state = get_actor(actor_id)
    assert isinstance(state, ActorState)
    return state


def dies(actor_id: str) -> None:
    wait_until(lambda: state_of(actor_id).state == "DEAD", what=f"the actor {actor_id} ends")


def made_once(runs: Path) -> tuple[str, ObjectRef[Any]]:
    """An actor that has gone out of scope and may be started once more, and what it has made."""
    maker = Maker.options(max_restarts=1, max_task_retries=-1).remote(runs, 0.0)
    actor_id = maker._actor_id.hex()
    ref = maker.make.remote(5.0)
    raynb.wait([ref], fetch_local=False, timeout=20)
    del maker
    dies(actor_id)
    return actor_id, ref


@pytest.mark.parametrize("restarts", [1, -1])
def test_an_actor_out_of_scope_lives_again_for_what_it_made(
    nodes: Nodes, there: ClusterNode, runs: Path, restarts: int
) -> None:
    base = make.remote(Runs(runs).note, 10.0)
    maker = Maker.options(max_restarts=restarts, max_task_retries=-1).remote(runs, base)
    actor_id = maker._actor_id.hex()
    refs = [maker.make.remote(float(more)) for more in (1, 2)]
    raynb.wait(refs, num_returns=2, fetch_local=False, timeout=20)
    del maker, base
    dies(actor_id)
    replace(nodes, there)
    first, second = raynb.get(refs, timeout=30)
    assert (first[0], second[-1]) == (11.0, 12.0)
    assert [Runs(runs)(what) for what in ("10.0", "init", "1.0", "2.0")] == [2, 2, 2, 2]
    dies(actor_id)
    state = state_of(actor_id)
    assert (state.num_restarts, state.num_restarts_due_to_lineage_reconstruction) == (1, 1)
    del refs, first, second
    no_objects_left(nodes)


def test_it_lives_again_as_often_as_it_may(nodes: Nodes, there: ClusterNode, runs: Path) -> None:
    actor_id, ref = made_once(runs)
    other = replace(nodes, there)
    wait_until(lambda: Runs(runs)("5.0") == 2, 20, what="it is made again")
    dies(actor_id)
    replace(nodes, other)
    with pytest.raises(ObjectReconstructionFailedError, match="ACTOR_DIED"):
        raynb.get(ref, timeout=20)


def test_a_gcs_that_hears_late_of_a_nodes_end_does_not_start_it_there(
    nodes: Nodes, there: ClusterNode, runs: Path
) -> None:
    _, ref = made_once(runs)
    nodes.add(num_cpus=1, resources={"there": 8})
    (gcs,) = [process.pid for kind, process in nodes.head.live_processes() if kind == "gcs_server"]
    stop_process(gcs)
    try:
        there.kill_raylet()
        wait_until(lambda: not raynb.wait([ref], timeout=0, fetch_local=False)[0], what="that it is lost is known")
    finally:
        os.kill(gcs, signal.SIGCONT)
    assert raynb.get(ref, timeout=30)[0] == 5.0
    nodes.kill(there)


def test_a_task_that_was_given_the_actor_finds_it_again(nodes: Nodes, there: ClusterNode, runs: Path) -> None:
    @raynb.remote(num_cpus=0, resources=THERE)
    def through(handles: list[Any]) -> np.ndarray[Any, Any]:
        return raynb.get(handles[0].make.remote(7.0)) + 1.0

    @raynb.remote(num_cpus=0)
    def told(handles: list[Any]) -> tuple[int, bool]:
        found: tuple[int, bool] = raynb.get(handles[0].where.remote())
        return found

    maker = Maker.options(max_restarts=-1, max_task_retries=-1).remote(runs, 0.0)
    actor_id = maker._actor_id.hex()
    ref = through.remote([maker])
    raynb.wait([ref], fetch_local=False, timeout=20)
    assert raynb.get(told.remote([maker]), timeout=20)[1] is False
    del maker
    dies(actor_id)
    replace(nodes, there)
    assert raynb.get(ref, timeout=30)[0] == 8.0
    dies(actor_id)
    assert [actor.num_restarts_due_to_lineage_reconstruction for actor in list_actors(detail=True)] == [1]
