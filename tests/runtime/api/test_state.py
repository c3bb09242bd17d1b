"""What the cluster tells about itself: `util.state` and `timeline`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import module
from tests.support.cluster import CPUS, cluster_of
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    """Ray tells these things through its dashboard, raynb does not need one."""
    with (
        cluster_of(bare_ray, include_dashboard=None, namespace="spec") as context,
        pytest.MonkeyPatch.context() as patch,
    ):
        if not module.IS_RAYNB:
            patch.setenv("RAY_ADDRESS", context.address_info["address"])
        yield context


@pytest.fixture
def state(ray: Ray) -> Any:
    return module.state_api()


def tasks_named(state: Any, name: str, *, detail: bool = False) -> list[Any]:
    found: list[Any] = state.list_tasks(filters=[("name", "=", name)], detail=detail, limit=1_000)
    return found


def wait_for_states(state: Any, name: str, *expected: str) -> list[Any]:
    """The tasks of that name, as soon as they are in these states: events come in batches."""

    def all_there() -> list[Any] | None:
        found = tasks_named(state, name, detail=True)
        return found if sorted(task.state for task in found) == sorted(expected) else None

    return wait_until(all_there, 10, f"{name} in {expected}") or []


def run_named(ray: Ray, name: str, function: Any, *arguments: object) -> Any:
    return ray.remote(function).options(name=name).remote(*arguments)


def test_a_finished_task_is_listed_with_where_and_when_it_ran(ray: Ray, state: Any) -> None:
    ref = run_named(ray, "finished", lambda: os.getpid())
    pid = ray.get(ref)
    (task,) = wait_for_states(state, "finished", "FINISHED")
    context = ray.get_runtime_context()
    assert task.task_id == ref.task_id().hex()
    assert task.worker_pid == pid
    assert task.node_id == context.get_node_id()
    assert task.job_id == context.get_job_id()
    assert task.type == "NORMAL_TASK"
    assert task.actor_id is None
    assert task.error_type is None
    assert task.attempt_number == 0
    assert task.required_resources == {"CPU": 1.0}
    assert task.creation_time_ms <= task.start_time_ms <= task.end_time_ms


def test_a_task_can_be_read_like_a_mapping(ray: Ray, state: Any) -> None:
    ray.get(run_named(ray, "mapped", lambda: None))
    (task,) = wait_for_states(state, "mapped", "FINISHED")
    assert task["name"] == task.name == task.get("name") == "mapped"
    with pytest.raises((KeyError, AttributeError)):
        task["no such column"]


def test_a_failed_task_is_listed_with_its_error(ray: Ray, state: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        ray.get(run_named(ray, "broken", lambda: 1 / 0))
    (task,) = wait_for_states(state, "broken", "FAILED")
    assert task.error_type == "TASK_EXECUTION_EXCEPTION"
    assert "ZeroDivisionError" in task.error_message


def test_tasks_that_run_and_wait_are_listed_in_their_states(ray: Ray, state: Any, gate: Gate) -> None:
    refs = [run_named(ray, "life", gate.through, number) for number in range(CPUS + 1)]
    dependent = run_named(ray, "dependent", lambda x: x, refs[0])
    gate.wait_for(CPUS)
    wait_for_states(state, "life", *["RUNNING"] * CPUS, "PENDING_NODE_ASSIGNMENT")
    wait_for_states(state, "dependent", "PENDING_ARGS_AVAIL")
    gate.open()
    ray.get([*refs, dependent])
    wait_for_states(state, "life", *["FINISHED"] * (CPUS + 1))


def test_a_task_knows_who_started_it(ray: Ray, state: Any) -> None:
    def parent() -> Any:
        return ray.get(ray.remote(lambda: None).options(name="child").remote())

    ref = run_named(ray, "parent", parent)
    ray.get(ref)
    (child,) = wait_for_states(state, "child", "FINISHED")
    assert child.parent_task_id == ref.task_id().hex()


def test_each_attempt_of_a_task_is_listed(ray: Ray, state: Any, tmp_path: Path) -> None:
    mark = str(tmp_path / "was here")

    def second_time_lucky() -> None:
        if not os.path.exists(mark):
            open(mark, "w").close()
            os._exit(1)

    ray.get(run_named(ray, "lucky", second_time_lucky), timeout=60)
    attempts = wait_for_states(state, "lucky", "FAILED", "FINISHED")
    assert sorted(task.attempt_number for task in attempts) == [0, 1]


def test_calls_of_actors_are_tasks_too(ray: Ray, state: Any) -> None:
    @ray.remote
    class Listed:
        def method(self) -> None: ...

    actor = Listed.remote()
    ray.get(actor.method.remote())
    (call,) = wait_for_states(state, "Listed.method", "FINISHED")
    assert call.type == "ACTOR_TASK"
    assert call.actor_id == actor._actor_id.hex()


def test_filters_choose_and_exclude(ray: Ray, state: Any) -> None:
    ray.get([run_named(ray, "chosen", lambda: None) for _ in range(3)])
    wait_for_states(state, "chosen", *["FINISHED"] * 3)
    both = [("name", "=", "chosen"), ("state", "=", "FINISHED")]
    assert len(state.list_tasks(filters=both)) == 3
    assert state.list_tasks(filters=[("name", "=", "chosen"), ("state", "!=", "FINISHED")]) == []
    loud = [(field.upper(), operator, value.swapcase()) for field, operator, value in both]
    assert len(state.list_tasks(filters=loud)) == 3, "whatever case they are in"
    others = state.list_tasks(filters=[("name", "!=", "Chosen")], limit=1_000)
    assert "chosen" not in {task.name for task in others}


def test_a_limit_is_kept(ray: Ray, state: Any) -> None:
    ray.get([run_named(ray, "limited", lambda: None) for _ in range(5)])
    wait_for_states(state, "limited", *["FINISHED"] * 5)
    assert len(state.list_tasks(filters=[("name", "=", "limited")], limit=2)) == 2
    assert len(state.list_tasks(limit=1)) == 1


@pytest.mark.parametrize(
    ("filters", "named"),
    [([("state", "<", "FINISHED")], "<"), ([("nowhere", "=", "x")], "nowhere"), (["state"], "state")],
    ids=repr,
)
def test_a_filter_that_makes_no_sense_is_refused_by_name(state: Any, filters: list[Any], named: str) -> None:
    with pytest.raises(Exception, match=named):
        state.list_tasks(filters=filters)


def test_one_task_is_found_by_its_id(ray: Ray, state: Any) -> None:
    ref = run_named(ray, "single", lambda: None)
    ray.get(ref)
    wait_for_states(state, "single", "FINISHED")
    assert state.get_task(ref.task_id().hex()).name == "single"
    assert state.get_task("00" * 24) is None


def test_actors_are_listed_from_their_birth_to_their_death(ray: Ray, state: Any) -> None:
    @ray.remote
    class Mortal:
        def pid(self) -> int:
            return os.getpid()

    actor = Mortal.options(name="mortal").remote()
    pid = ray.get(actor.pid.remote())

    def in_state(wanted: str) -> Any:
        found = state.list_actors(filters=[("name", "=", "mortal"), ("state", "=", wanted)], detail=True)
        return found[0] if found else None

    alive = wait_until(lambda: in_state("ALIVE"), 20)
    assert (alive.pid, alive.name, alive.ray_namespace) == (pid, "mortal", "spec")
    assert alive.actor_id == actor._actor_id.hex()
    assert alive.is_detached is False
    assert alive.num_restarts == 0
    assert state.get_actor(alive.actor_id).class_name.split(".")[-1] == "Mortal"
    ray.kill(actor)
    dead = wait_until(lambda: in_state("DEAD"), 20)
    assert dead.actor_id == alive.actor_id
    assert dead.death_cause
    short = state.list_actors(filters=[("actor_id", "=", dead.actor_id)])[0]
    assert short.state == "DEAD" and short.death_cause is short["is_detached"] is None, "detail was not asked for"


def test_an_actor_that_waits_for_its_arguments_is_listed(ray: Ray, state: Any, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    def later() -> Any:
        return through(1)

    @ray.remote
    class Awaits:
        def __init__(self, value: int) -> None:
            self.value = value

        def get(self) -> int:
            return self.value

    actor = Awaits.remote(later.remote())

    def found(wanted: str) -> Any:
        rows = state.list_actors(filters=[("state", "=", wanted)], detail=True)
        return next((row for row in rows if row.actor_id == actor._actor_id.hex()), None)

    waiting = wait_until(lambda: found("DEPENDENCIES_UNREADY"), 20)
    assert waiting.class_name.split(".")[-1] == "Awaits"
    gate.open()
    assert ray.get(actor.get.remote(), timeout=30) == 1
    wait_until(lambda: found("ALIVE"), 20)
    assert found("DEPENDENCIES_UNREADY") is None


def test_tasks_have_the_name_that_they_are_given_and_that_of_their_function(ray: Ray, state: Any) -> None:
    @ray.remote
    def plain() -> None:
        pass

    @ray.remote
    class Called:
        def f(self) -> None:
            pass

        def __repr__(self) -> str:
            return "MyOwn"

    actor = Called.remote()
    ray.get([actor.f.remote(), actor.f.options(name="another call").remote()], timeout=30)
    ray.get(plain.options(name="another task").remote(), timeout=30)

    def names() -> set[tuple[str, str]]:
        return {(row.name, row.func_or_class_name) for row in state.list_tasks(limit=1_000, detail=True)}

    expected = {("MyOwn.f", "Called.f"), ("another call", "Called.f"), ("another task", "plain")}
    wait_until(lambda: expected <= names(), 20)
    assert tasks_named(state, "MyOwn.f")


def test_each_process_that_refers_to_an_object_has_a_row_of_it(ray: Ray, state: Any, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    class Keeps:
        def keep(self, refs: list[Any]) -> int:
            self.refs = refs
            return os.getpid()

    def rows(ref: Any) -> dict[int, Any]:
        return {row.pid: row for row in state.list_objects(limit=1_000, detail=True) if row.object_id == ref.hex()}

    def kinds(ref: Any) -> dict[int, str]:
        return {pid: row.reference_type for pid, row in rows(ref).items()}

    me, array = os.getpid(), bytes(200_000)
    ref, inner, used = ray.put(array), ray.put(array), ray.put(array)
    outer = ray.put([inner])
    actor = Keeps.remote()
    pid = ray.get(actor.keep.remote([ref]), timeout=30)
    wait_until(lambda: kinds(ref) == {me: "LOCAL_REFERENCE", pid: "LOCAL_REFERENCE"}, 20)
    assert rows(ref)[pid].task_status == "NIL"
    assert rows(ref)[pid].type == "WORKER"
    assert len(state.get_objects(ref.hex())) == 2
    del inner
    (contained,) = [row for row in state.list_objects(limit=1_000) if row.reference_type == "CAPTURED_IN_OBJECT"]
    assert contained.pid == me
    waits = ray.remote(lambda *_: through(1)).remote(used)
    wait_until(lambda: kinds(used).get(me) == "USED_BY_PENDING_TASK", 20)
    gate.open()
    assert ray.get(waits, timeout=30) == 1
    assert "ACTOR_HANDLE" in {row.reference_type for row in state.list_objects(limit=1_000) if row.pid == me}
    assert outer


def test_objects_are_listed_with_their_size_and_who_refers_to_them(ray: Ray, state: Any) -> None:
    ref = ray.put(b"x" * 1_000_000)
    name = ref.hex()
    (found,) = wait_until(lambda: state.get_objects(name), 20)
    assert 1_000_000 <= found.object_size < 1_010_000
    assert found.reference_type == "LOCAL_REFERENCE"
    assert found.pid == os.getpid()
    assert name in {each.object_id for each in state.list_objects(limit=1_000)}
    del ref
    wait_until(lambda: name not in {each.object_id for each in state.list_objects(limit=1_000)}, 20)


def test_what_has_not_ended_has_zero_for_its_end(ray: Ray, state: Any) -> None:
    (node,) = state.list_nodes(detail=True)
    (driver,) = state.list_workers(
        filters=[("worker_type", "=", "driver"), ("pid", "=", str(os.getpid()))], detail=True
    )
    assert (node.end_time_ms, driver.end_time_ms) == (0, 0)
    assert 0 < node.start_time_ms <= driver.start_time_ms


def test_the_node_is_listed(ray: Ray, state: Any) -> None:
    (node,) = state.list_nodes(detail=True)
    assert node.node_id == ray.get_runtime_context().get_node_id()
    assert node.state == "ALIVE"
    assert node.is_head_node is True
    assert node.resources_total["CPU"] == CPUS
    assert state.get_node(node.node_id).node_ip == node.node_ip


def test_the_workers_are_listed_with_their_processes(ray: Ray, state: Any) -> None:
    pid = ray.get(ray.remote(lambda: os.getpid()).remote())
    workers = {worker.pid: worker for worker in wait_until(lambda: state.list_workers(limit=1_000), 20)}
    assert workers[pid].worker_type == "WORKER"
    assert workers[pid].is_alive is True
    assert workers[os.getpid()].worker_type == "DRIVER"
    assert state.get_worker(workers[pid].worker_id).pid == pid


@pytest.mark.usefixtures("raynb_only")  # Ray's events take a second
def test_a_task_is_known_as_soon_as_it_has_been_submitted(ray: Ray, state: Any, gate: Gate) -> None:
    held = run_named(ray, "held", gate.through)
    for number in range(20):
        ref = run_named(ray, f"just submitted {number}", lambda before: before, held)
        assert state.get_task(ref).dependencies == [held.hex()]


def test_the_tasks_are_counted_by_function_and_state(ray: Ray, state: Any) -> None:
    def counted() -> None:
        pass

    ray.get([run_named(ray, "counted", counted) for _ in range(4)])
    wait_for_states(state, "counted", *["FINISHED"] * 4)
    found = state.summarize_tasks()["cluster"]["summary"]["counted"]
    assert found["state_counts"] == {"FINISHED": 4}
    assert found["type"] == "NORMAL_TASK"


def complete_events(ray: Ray, name: str) -> list[dict[str, Any]]:
    return [event for event in ray.timeline() if event.get("ph") == "X" and name in str(event)]


def test_the_timeline_has_an_interval_for_every_task(ray: Ray, state: Any) -> None:
    ray.get([run_named(ray, "interval", lambda: None) for _ in range(3)])
    wait_until(lambda: len(complete_events(ray, "interval")) == 3, 20)
    for event in complete_events(ray, "interval"):
        assert {"cat", "name", "pid", "tid", "ts", "dur"} <= set(event)
        assert event["dur"] >= 0


def test_the_timeline_can_be_written_as_a_file_that_a_browser_reads(ray: Ray, tmp_path: Path) -> None:
    ray.get(run_named(ray, "written", lambda: None))
    wait_until(lambda: complete_events(ray, "written"), 20)
    file = tmp_path / "timeline.json"
    ray.timeline(str(file))
    events = json.loads(file.read_text())
    assert any("written" in str(event) for event in events)


def test_an_actors_creation_and_its_calls_are_listed_with_their_process_and_run_together(
    ray: Ray, state: Any, gate: Gate
) -> None:
    class Together:
        def pid(self) -> int:
            return os.getpid()

        def through(self, number: int) -> int:
            return int(gate.through(number))

    actor = ray.remote(Together).options(max_concurrency=2, num_cpus=0).remote()
    pid = ray.get(actor.pid.remote())
    calls = [actor.through.remote(number) for number in range(3)]
    gate.wait_for(2)
    listed = wait_for_states(state, "Together.through", "RUNNING", "RUNNING", "SUBMITTED_TO_WORKER")
    assert {call.worker_pid for call in listed} == {pid}
    gate.open()
    ray.get(calls)
    listed = wait_for_states(state, "Together.through", *["FINISHED"] * 3)
    (created,) = wait_for_states(state, "Together.__init__", "FINISHED")
    assert {call.worker_pid for call in (*listed, created)} == {pid}
    assert created.creation_time_ms <= created.start_time_ms <= created.end_time_ms <= listed[0].start_time_ms


def test_actors_and_objects_are_summed_up(ray: Ray, raynb_only: None) -> None:
    class Summed:
        def ping(self) -> int:
            return 1

    actors = [ray.remote(num_cpus=0)(Summed).remote() for _ in range(3)]
    ray.get([actor.ping.remote() for actor in actors], timeout=30)
    held = [ray.put(number) for number in range(5)]
    state = module.state_api()
    found = state.summarize_actors()["cluster"]
    assert found["summary"][Summed.__qualname__]["state_counts"] == {"ALIVE": 3}
    assert found["total_actors"] >= 3
    objects = state.summarize_objects()["cluster"]
    assert objects["total_objects"] >= len(held)
    assert sum(entry["total_objects"] for entry in objects["summary"].values()) == objects["total_objects"]


def test_calls_without_task_events_are_not_listed(ray: Ray, raynb_only: None) -> None:
    class Quiet:
        def told(self) -> int:
            return 1

        @ray.method(enable_task_events=False)
        def untold(self) -> int:
            return 2

    quiet = ray.remote(num_cpus=0)(Quiet).remote()
    silent = ray.remote(num_cpus=0, enable_task_events=False)(Quiet).options(name="silent one").remote()
    refs = [
        ray.remote(enable_task_events=False)(lambda: 3).options(name="unseen task").remote(),
        ray.remote(lambda: 4).options(name="seen task").remote(),
        quiet.told.options(name="seen call").remote(),
        quiet.untold.options(name="unseen call").remote(),
        silent.told.options(name="unseen by default").remote(),
        silent.told.options(name="seen after all", enable_task_events=True).remote(),
    ]
    assert ray.get(refs, timeout=30) == [3, 4, 1, 2, 1, 1]
    wait_until(lambda: len([row for row in module.state_api().list_tasks() if row.name.startswith("seen ")]) == 3)
    assert [row.name for row in module.state_api().list_tasks() if row.name.startswith("unseen")] == []


def test_a_task_of_several_attempts_is_a_list_of_them(ray: Ray, state: Any, tmp_path: Path) -> None:
    def fail_once() -> None:
        if not (tmp_path / "tried").exists():
            (tmp_path / "tried").touch()
            raise ValueError("once")

    ref = ray.remote(max_retries=2, retry_exceptions=True)(fail_once).remote()
    ray.get(ref, timeout=60)
    wait_until(lambda: isinstance(state.get_task(ref.task_id().hex()), list))
    found = state.get_task(ref.task_id().hex())
    assert [(row.attempt_number, row.state) for row in found] == [(0, "FAILED"), (1, "FINISHED")]


def test_the_creation_of_an_actor_has_its_id(ray: Ray, state: Any) -> None:
    class Made:
        def call(self) -> None: ...

    actor = ray.remote(Made).remote()
    ray.get(actor.call.remote(), timeout=30)

    def ids() -> set[Any]:
        rows = state.list_tasks(filters=[("func_or_class_name", "=", "Made.__init__")], detail=True, limit=100)
        return {row.actor_id for row in rows}

    wait_until(lambda: actor._actor_id.hex() in ids())
