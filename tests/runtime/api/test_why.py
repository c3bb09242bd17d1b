"""Why a value is not there: one sentence that names the culprit, for each cause, on a real cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb.runtime.client.why import Why
from tests.support.cluster import cluster_of
from tests.support.gate import Gate, passage
from tests.support.leaks import processes_of
from tests.support.module import Ray
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")

STORE_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    """Two CPUs, one `special`, a small store without a disk."""
    store = {"object_store_memory": STORE_BYTES, "_system_config": {"spill_directory": "off"}}
    with cluster_of(bare_ray, num_cpus=2, resources={"special": 1}, **store) as context:
        yield context


def named(name: str, function: Any, ray: Ray, **options: Any) -> Any:
    """A remote function that is called so."""
    return ray.remote(function).options(name=name, **options)


def why(ref: Any, kind: str, *words: str) -> Why:
    """The answer, once it is of this kind and has all the words: what leads to it may be under way still."""
    last: list[Why] = []

    def answered() -> bool:
        last[:] = [ref.why()]
        return last[0].kind == kind and all(word in last[0].sentence for word in words)

    try:
        wait_until(answered)
        return last[0]
    except AssertionError:
        raise AssertionError(f"{last[0].kind}: {last[0]}, which is not {kind}: {words}") from None


def settle(ray: Ray, *refs: Any) -> None:
    """Wait until they have an outcome, whatever it is."""
    ray.wait(list(refs), num_returns=len(refs), timeout=30)


# -- no worker for it


def test_a_resource_that_no_node_has(ray: Ray) -> None:
    ref = named("train", lambda: None, ray, num_gpus=2).remote()
    found = why(ref, "infeasible", "train asks for 2 GPU", "no node of this cluster has any GPU")
    assert "num_gpus" in found.fix
    ray.cancel(ref)
    settle(ray, ref)


def test_cpus_that_others_hold_are_named_by_what_runs_there_now(ray: Ray, gate: Gate) -> None:
    ray.get([named("earlier", lambda: None, ray).remote() for _ in range(4)])
    busy = [named("crunch", gate.through, ray).remote() for _ in range(2)]
    gate.wait_for(2)
    refs = [named("next", gate.through, ray).remote() for _ in range(2)]
    why(refs[0], "resources", "next waits for 1 CPU", "2 CPU is taken (by 2 x crunch)")
    found = why(refs[1], "resources", "1 task is queued ahead of it")
    assert "when one of them ends" in found.fix
    gate.open()
    settle(ray, *busy, *refs)


def test_cpus_that_another_process_holds(ray: Ray, gate: Gate) -> None:
    """The tasks there are another submitter's: the node and the event table know them."""

    def submit(through: Any) -> Any:
        import raynb

        inner = raynb.remote(through).options(name="grandchild")
        return [inner.remote() for _ in range(2)]

    parent = named("parent", submit, ray, num_cpus=0).remote(gate.through)
    inner = ray.get(parent, timeout=30)
    gate.wait_for(2)
    ref = named("next", lambda: None, ray).remote()
    why(ref, "resources", "2 x grandchild")
    gate.open()
    settle(ray, ref, *inner)


def test_actors_that_keep_their_cpus_for_life(ray: Ray) -> None:
    holder: Any = ray.remote(num_cpus=2)(type("Holder", (), {"here": lambda self: True})).remote()
    ray.get(holder.here.remote())
    ref = named("next", lambda: None, ray).remote()
    found = why(ref, "resources", "actor Holder")
    assert "ray.kill()" in found.fix
    ray.kill(holder)
    settle(ray, ref)


def test_a_worker_process_that_is_being_started(ray: Ray, gate: Gate) -> None:
    session = _session()
    (forkserver,) = [pid for pid, command in processes_of(session).items() if "forkserver" in command]
    stop_process(forkserver)
    try:
        refs = [named("light", gate.through, ray, num_cpus=0).remote() for _ in range(12)]
        found = why(refs[-1], "worker", "light waits for a worker process to start")
        assert found.fix
    finally:
        os.kill(forkserver, signal.SIGCONT)
    gate.open()
    settle(ray, *refs)


# -- behind others


def test_what_was_sent_to_a_worker_behind_another_task(ray: Ray, tmp_path: Path) -> None:
    go, arrived = tmp_path / "go", tmp_path / "arrived"
    block = passage(str(go), str(arrived))

    def perhaps(wait: bool) -> None:
        if wait:
            block()

    quick = named("quick", perhaps, ray, num_cpus=2)
    ray.get([quick.remote(False) for _ in range(300)])  # measured: from now on several are sent at once
    refs = [quick.remote(number == 0) for number in range(40)]
    wait_until(arrived.exists)
    behind = refs[3]
    found = why(
        behind, "behind", "quick was sent to a worker (pid ", "ahead of it) behind quick, which has been running"
    )
    assert "taken back" in found.fix
    go.touch()
    settle(ray, *refs)


# -- inputs


def test_an_input_that_still_runs_is_followed_to_the_root(ray: Ray, gate: Gate) -> None:
    load = named("load", gate.through, ray).remote(1)
    gate.wait_for(1)
    clean = named("clean", lambda x: x, ray).remote(load)
    fit = named("fit", lambda x: x, ray).remote(clean)
    plot = named("plot", lambda x: x, ray).remote(fit)
    why(clean, "input", "clean waits for its input load, which has been running for", "(pid ")
    why(fit, "input", "fit waits for its input clean, which waits for its input load, which has been running")
    found = why(
        plot, "input", "plot waits for its input fit, which in the end (through clean) waits for load, which has"
    )
    assert [link.split()[0] for link in found.chain] == ["plot", "fit", "clean", "load"]
    assert "load" in repr(found) and "<li>" in found._repr_html_()
    gate.open()
    settle(ray, plot)


def test_an_input_that_waits_for_cpus(ray: Ray, gate: Gate) -> None:
    busy = [named("crunch", gate.through, ray).remote() for _ in range(2)]
    gate.wait_for(2)
    first = named("first", lambda: 1, ray).remote()
    second = named("second", lambda *x: 1, ray, num_cpus=0).remote(first, busy[0])
    why(second, "resources", "second waits for 2 inputs, first of all for first, which waits for 1 CPU", "2 x crunch")
    gate.open()
    settle(ray, second)


def test_an_input_that_failed(ray: Ray) -> None:
    def divide(x: int) -> float:
        return x / 0

    bad = named("divide", divide, ray).remote(1)
    between = named("between", lambda x: x, ray).remote(bad)
    last = named("last", lambda *x: x, ray).remote(ray.put(1), between)
    settle(ray, last)
    why(bad, "failed", "divide failed after", "ZeroDivisionError: division by zero")
    found = why(last, "failed", "last did not run, for it needs the value of between", "divide", "ZeroDivisionError")
    assert found.chain[-1].startswith("divide failed")


def test_a_task_that_waits_in_get_for_another(ray: Ray, gate: Gate) -> None:
    def outer(through: Any) -> Any:
        import raynb

        return raynb.get(raynb.remote(through).options(name="inner").remote())

    ref = named("outer", outer, ray).remote(gate.through)
    gate.wait_for(1)
    why(ref, "running", "outer has been running", "and waits in get() for inner, which has been running")
    gate.open()
    settle(ray, ref)


def test_an_actor_that_waits_for_itself(ray: Ray) -> None:
    @ray.remote
    class Selfish:
        def inner(self) -> int:
            return 1

        def outer(self, me: Any) -> Any:
            return ray_get(me.inner.remote())

    def ray_get(ref: Any) -> Any:
        import raynb

        return raynb.get(ref)

    actor = Selfish.remote()
    ref = actor.outer.remote(actor)
    found = why(ref, "deadlock", "Selfish.outer has been running", "waits in get() for Selfish.inner", "neither ends")
    assert found.fix
    ray.kill(actor)
    settle(ray, ref)


# -- actors


class Counter:
    """Constructed at once, or when a file is there."""

    def __init__(self, construct: Any = None, *inputs: Any) -> None:
        if construct is not None:
            construct()

    def read(self) -> int:
        return 1

    def stay(self, through: Any) -> None:
        through()

    def pid(self) -> int:
        return os.getpid()


def test_a_call_behind_others_of_its_actor(ray: Ray, gate: Gate) -> None:
    actor: Any = ray.remote(Counter).remote()
    running = actor.stay.remote(gate.through)
    gate.wait_for(1)
    refs = [actor.read.remote() for _ in range(3)]
    found = why(
        refs[2], "order", "Counter.read waits for its turn (3 calls are ahead of it) behind Counter.stay, which has"
    )
    assert "max_concurrency" in found.fix
    alive = actor.why()
    assert alive.kind == "alive" and "has run Counter.stay for" in alive.sentence and "3 calls wait" in alive.sentence
    gate.open()
    settle(ray, running, *refs)
    assert "has nothing to do" in actor.why().sentence


def test_a_call_behind_one_whose_input_is_missing(ray: Ray, gate: Gate) -> None:
    actor: Any = ray.remote(Counter).remote()
    ray.get(actor.read.remote())
    load = named("load", gate.through, ray).remote()
    gate.wait_for(1)
    stay = actor.stay.remote(load)
    read = actor.read.remote()
    why(
        read,
        "input",
        "Counter.read waits for its turn",
        "behind Counter.stay, which waits for its input load, which has",
    )
    why(stay, "input", "Counter.stay waits for its input load")
    gate.open()
    settle(ray, stay, read)


def test_a_call_of_another_caller_that_runs_is_named_too(ray: Ray, gate: Gate) -> None:
    def use(actor: Any, through: Any) -> Any:
        import raynb

        return raynb.get(actor.stay.remote(through))

    actor: Any = ray.remote(Counter).remote()
    other = named("other", use, ray).remote(actor, gate.through)
    gate.wait_for(1)
    ref = actor.read.remote()
    why(ref, "order", "behind Counter.stay")
    gate.open()
    settle(ray, other, ref)


def test_an_actor_that_waits_for_cpus(ray: Ray, gate: Gate) -> None:
    busy = named("crunch", gate.through, ray).remote()
    gate.wait_for(1)
    actor: Any = ray.remote(num_cpus=2)(Counter).remote()
    ref = actor.read.remote()
    words = ("is not created yet, and waits for 2 CPU: only 1 CPU is free", "crunch")
    why(ref, "resources", "Counter.read waits for its actor Counter", *words)
    why(actor, "resources", *words)
    gate.open()
    settle(ray, busy, ref)


def test_an_actor_whose_constructor_runs(ray: Ray, gate: Gate) -> None:
    actor: Any = ray.remote(Counter).remote(gate.through)
    ref = actor.read.remote()
    gate.wait_for(1)
    why(ref, "creating", "waits for its actor Counter, which is not created yet: its constructor runs (pid ")
    gate.open()
    settle(ray, ref)


def test_an_actor_whose_constructor_lacks_an_input(ray: Ray, gate: Gate) -> None:
    load = named("load", gate.through, ray).remote()
    gate.wait_for(1)
    actor: Any = ray.remote(Counter).remote(None, load)
    why(actor, "input", "Counter.__init__ waits for its input load, which has been running")
    gate.open()
    settle(ray, actor.read.remote())


def test_an_actor_that_is_being_restarted(ray: Ray, tmp_path: Path) -> None:
    again, first = tmp_path / "again", tmp_path / "first"
    again.touch()
    actor: Any = ray.remote(max_restarts=3, max_task_retries=3)(Counter).remote(passage(str(again), str(first)))
    pid = ray.get(actor.pid.remote())
    again.unlink()
    os.kill(pid, signal.SIGKILL)
    ref = actor.read.remote()
    words = ("Counter, which is being restarted (restart 1 of 3) because its process ended (killed by SIGKILL",)
    why(ref, "restarting", "Counter.read waits for its actor", *words)
    why(actor, "restarting", "is being restarted")
    again.touch()
    assert ray.get(ref, timeout=30) == 1


def test_an_actor_that_is_dead(ray: Ray) -> None:
    actor: Any = ray.remote(Counter).remote()
    ray.get(actor.read.remote())
    ray.kill(actor)
    why(actor, "actor dead", "Counter is dead: it was killed by `ray.kill`")
    ref = actor.read.remote()
    settle(ray, ref)
    why(ref, "actor dead", "Counter.read failed", "killed by `ray.kill`")


def test_a_method_called_why_stays_the_actors_own(ray: Ray) -> None:
    actor: Any = ray.remote(type("Reasons", (), {"why": lambda self: "mine"})).remote()
    assert ray.get(actor.why.remote()) == "mine"


# -- outcomes


def test_what_runs_says_since_when_and_where(ray: Ray, gate: Gate) -> None:
    ref = named("work", gate.through, ray).remote()
    gate.wait_for(1)
    assert "ray.cancel()" in why(ref, "running", "work has been running for", "(pid ").fix
    gate.open()
    settle(ray, ref)


def test_what_has_finished(ray: Ray) -> None:
    ref = named("work", lambda: 1, ray).remote()
    ray.get(ref)
    why(ref, "finished", "work finished after", "ago (pid ")
    why(ray.put([1, 2]), "finished", "the list that was put is there")


def test_what_was_cancelled(ray: Ray, gate: Gate) -> None:
    busy = [named("crunch", gate.through, ray).remote() for _ in range(2)]
    gate.wait_for(2)
    waiting = named("waiting", lambda: None, ray).remote()
    ray.cancel(waiting)
    ray.cancel(busy[0])
    settle(ray, waiting, busy[0])
    why(waiting, "cancelled", "waiting was cancelled before it started")
    why(busy[0], "cancelled", "crunch was cancelled while it ran")
    gate.open()
    settle(ray, *busy)


def test_a_worker_that_was_killed(ray: Ray) -> None:
    ref = named("fragile", lambda: os.kill(os.getpid(), signal.SIGKILL), ray, max_retries=0).remote()
    settle(ray, ref)
    found = why(ref, "failed", "fragile failed", "SIGKILL")
    assert "logs" in found.fix


# -- the store


def test_a_result_that_the_store_has_no_room_for(ray: Ray) -> None:
    import numpy as np

    held = ray.put(np.zeros(STORE_BYTES // 2, dtype=np.uint8))
    ref = named("huge", lambda: np.ones(STORE_BYTES * 3 // 4, dtype=np.uint8), ray).remote()
    found = why(ref, "store", "huge has been running", "for 50.3 MB of the object store, which is full", "ndarray")
    assert "33.6 MB in 1 object of driver" in found.sentence
    assert "object_store_memory" in found.fix
    del held
    settle(ray, ref)
    why(ref, "finished", "huge finished")


# -- who asks, and from where


def test_it_can_be_asked_while_another_thread_blocks_in_get(ray: Ray, gate: Gate) -> None:
    ref = named("work", gate.through, ray).remote("value")
    gate.wait_for(1)
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(ray.get(ref)))
    thread.start()
    found: list[Why] = []
    main = threading.Thread(target=lambda: found.append(ref.why()))
    main.start()
    main.join(10)
    assert found and found[0].kind == "running" and not got
    gate.open()
    thread.join(20)
    assert got == ["value"]


def test_a_borrowed_reference_is_asked_of_its_owner(ray: Ray, gate: Gate) -> None:
    def submit(through: Any) -> Any:
        import raynb

        first = raynb.remote(through).options(name="inner").remote()
        return [first, raynb.remote(lambda x: x).options(name="after").remote(first)]

    inner, after = ray.get(named("parent", submit, ray, num_cpus=0).remote(gate.through), timeout=30)
    gate.wait_for(1)
    why(inner, "running", "inner has been running")
    why(after, "input", "after waits for its input inner, which has been running")
    gate.open()
    settle(ray, after)


def test_it_can_be_asked_inside_a_task(ray: Ray, gate: Gate) -> None:
    def ask(refs: list[Any]) -> str:
        return str(refs[0].why().sentence)

    ref = named("work", gate.through, ray).remote()
    gate.wait_for(1)
    sentence = ray.get(named("ask", ask, ray).remote([ref]), timeout=30)
    assert "work has been running" in sentence
    gate.open()
    settle(ray, ref)


def test_a_worker_that_can_not_answer_is_told_of_as_its_submitter_knows_it(ray: Ray, gate: Gate) -> None:
    ref = named("work", gate.through, ray).remote()
    gate.wait_for(1)
    pid = int(why(ref, "running").sentence.partition("(pid ")[2].partition(")")[0])
    stop_process(pid)
    try:
        why(ref, "running", "work has been running", f"(pid {pid})")
    finally:
        os.kill(pid, signal.SIGCONT)
    gate.open()
    settle(ray, ref)


def test_asking_leaves_no_request_open(ray: Ray, gate: Gate) -> None:
    from raynb.runtime.client.refs import current

    ref = named("work", gate.through, ray).remote()
    gate.wait_for(1)
    ref.why()
    wait_until(lambda: not len(current().machine.requests))
    gate.open()
    settle(ray, ref)


def _session() -> str:
    from raynb.runtime.client.refs import current

    return Path(current().session_dir).name


# The last, for it ends the cluster of this module.
def test_a_node_that_is_gone(bare_ray: Ray, cluster: Any, tmp_path: Path) -> None:
    from raynb.runtime.client.refs import current

    bare_ray.shutdown()
    with_node = bare_ray.init(num_cpus=1, include_dashboard=False)
    ref = bare_ray.remote(passage(str(tmp_path / "go"), str(tmp_path / "arrived"))).remote()
    wait_until((tmp_path / "arrived").exists)
    session = Path(with_node["session_dir"]).name
    (manager,) = [pid for pid, command in processes_of(session).items() if "node_manager" in command]
    os.kill(manager, signal.SIGKILL)
    wait_until(lambda: current().machine.lost)
    assert ref.why().kind == "node"
    assert "node" in ref.why().sentence and "init()" in ref.why().fix
