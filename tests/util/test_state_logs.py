"""The state API's counts and logs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import module
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")  # Ray tells these things through its dashboard


@pytest.fixture
def state(ray: Ray) -> Any:
    return module.state_api()


class Speaker:
    def say(self, words: str) -> int:
        import os

        print(words)
        print(words.upper(), file=sys.stderr)
        return os.getpid()


def text_of(state: Any, **whose: Any) -> str:
    return "".join(state.get_log(**whose))


def test_the_log_of_an_actor_a_task_and_a_process_can_be_read(ray: Ray, state: Any) -> None:
    speaker = ray.remote(Speaker).remote()
    ref = speaker.say.remote("hello from inside")
    pid = ray.get(ref)
    actor = speaker._actor_id.hex()
    wait_until(lambda: "hello from inside" in text_of(state, actor_id=actor), 20)
    assert "HELLO FROM INSIDE" in text_of(state, actor_id=actor, suffix="err")
    assert "hello from inside" in text_of(state, pid=pid)
    wait_until(lambda: state.get_task(ref.task_id().hex()).state == "FINISHED", 20)
    assert "hello from inside" in text_of(state, task_id=ref.task_id().hex())


def test_the_log_of_a_task_has_what_that_task_has_written_and_no_more(ray: Ray, state: Any, tmp_path: Path) -> None:
    @ray.remote(max_retries=0)
    def say(words: str, how: str = "") -> None:
        print(words)
        sys.stdout.flush()
        os.write(1, f"beside {words}\n".encode())
        subprocess.run([sys.executable, "-c", f"print('child of', {words!r})"], check=True)
        print(words, "ends")
        if how:
            os._exit(1)

    refs = [say.remote(f"number {number}") for number in range(6)]
    ray.get(refs)
    refs.append(say.remote("crash", "dies"))
    ray.wait(refs[-1:])
    for ref, words in zip(refs, [*(f"number {number}" for number in range(6)), "crash"], strict=True):
        task = ref.task_id().hex()
        wait_until(lambda task=task: state.get_task(task).state in ("FINISHED", "FAILED"), 20)  # type: ignore[misc]
        assert text_of(state, task_id=task) == f"{words}\nbeside {words}\nchild of {words}\n{words} ends\n"
        assert text_of(state, task_id=task, tail=1) == f"{words} ends\n"
        assert text_of(state, task_id=task, suffix="err") == ""


def test_the_process_of_an_actor_is_known_as_soon_as_the_actor_answers(ray: Ray, state: Any) -> None:
    for _ in range(5):
        speaker = ray.remote(Speaker).remote()
        pid = ray.get(speaker.say.remote("hello"))
        assert pid in {row.pid for row in state.list_workers(limit=1000)}


def test_a_log_can_be_cut_to_its_last_lines(ray: Ray, state: Any) -> None:
    speaker = ray.remote(Speaker).remote()
    pid = ray.get([speaker.say.remote(f"line {number}") for number in range(5)])[-1]
    wait_until(lambda: "line 4" in text_of(state, pid=pid), 20)
    assert text_of(state, pid=pid, tail=2) == "line 3\nline 4\n"
    assert text_of(state, pid=pid, tail=0) == ""
    assert b"".join(state.get_log(pid=pid, tail=1, encoding=None)) == b"line 4\n"


def test_a_log_can_be_followed(ray: Ray, state: Any) -> None:
    speaker = ray.remote(Speaker).remote()
    pid = ray.get(speaker.say.remote("before"))
    wait_until(lambda: "before" in text_of(state, pid=pid), 20)
    pieces = state.get_log(pid=pid, follow=True, tail=0, _interval=0.01)
    ray.get(speaker.say.remote("after"))
    assert next(pieces) == "after\n"
    pieces.close()


def test_colours_can_be_left_out(ray: Ray, state: Any) -> None:
    speaker = ray.remote(Speaker).remote()
    pid = ray.get(speaker.say.remote("\x1b[31mred\x1b[0m"))
    wait_until(lambda: "red" in text_of(state, pid=pid), 20)
    assert text_of(state, pid=pid, filter_ansi_code=True) == "red\n"


def test_logs_are_listed_by_what_wrote_them(ray: Ray, state: Any) -> None:
    ray.get(ray.remote(Speaker).remote().say.remote("x"))
    logs = state.list_logs()
    assert {"worker_out", "worker_err", "gcs_server"} <= set(logs)
    assert set(state.list_logs(glob_filter="worker-*.err")) == {"worker_err"}
    assert "".join(state.get_log(filename=logs["gcs_server"][0])) is not None


@pytest.mark.parametrize(
    ("whose", "kind"),
    [
        ({}, ValueError),
        ({"pid": 1, "filename": "gcs.log"}, ValueError),
        ({"pid": 1, "suffix": "log"}, ValueError),
        ({"filename": "no such log"}, FileNotFoundError),
        ({"filename": "../cluster.json"}, FileNotFoundError),
        ({"filename": str(Path(__file__))}, FileNotFoundError),
        ({"pid": 999_999_999}, FileNotFoundError),
        ({"actor_id": "00" * 16}, FileNotFoundError),
        ({"task_id": "00" * 24}, FileNotFoundError),
    ],
)
def test_a_log_that_is_not_there_is_refused(state: Any, whose: Any, kind: Any) -> None:
    with pytest.raises(kind) as error:
        list(state.get_log(**whose))
    assert "RayStateApiException" in {each.__name__ for each in type(error.value).__mro__}


def test_actors_are_counted_by_class_and_state(ray: Ray, state: Any) -> None:
    class Counted:
        def ready(self) -> None: ...

    actors = [ray.remote(Counted).remote() for _ in range(3)]
    ray.get([actor.ready.remote() for actor in actors])
    ray.kill(actors[0])

    def counts() -> Any:
        found = state.summarize_actors()["cluster"]["summary"]
        return next(entry["state_counts"] for name, entry in found.items() if name.endswith("Counted"))

    wait_until(lambda: counts() == {"ALIVE": 2, "DEAD": 1}, 20)
    assert state.summarize_actors()["cluster"]["total_actors"] >= 3


def test_objects_are_counted_by_where_they_were_made(ray: Ray, state: Any) -> None:
    kept = [ray.put(b"x" * 2**20) for _ in range(3)]
    whole = state.summarize_objects()["cluster"]
    assert whole["total_objects"] >= 3
    assert whole["total_size_mb"] >= 3
    assert sum(entry["total_objects"] for entry in whole["summary"].values()) == whole["total_objects"]
    assert all(entry["total_num_nodes"] == 1 for entry in whole["summary"].values())
    del kept


def test_the_runtime_envs_of_actors_are_listed(ray: Ray, state: Any) -> None:
    class InIt:
        def ready(self) -> None: ...

    env = {"env_vars": {"LISTED": "yes"}}
    actors = [ray.remote(InIt).options(runtime_env=env).remote() for _ in range(2)]
    ray.get([actor.ready.remote() for actor in actors])
    (found,) = [each for each in state.list_runtime_envs() if each.runtime_env == env]
    assert (found.ref_cnt, found.node_id) == (2, ray.get_runtime_context().get_node_id())
    assert state.list_runtime_envs(filters=[("ref_cnt", "=", "77")]) == []
    with pytest.raises(ValueError, match="no field"):
        state.list_runtime_envs(filters=[("nothing", "=", "1")])


def test_what_has_happened_to_the_cluster_is_listed(ray: Ray, state: Any) -> None:
    def die() -> None:
        os._exit(3)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(ray.remote(die).options(max_retries=0).remote())

    def death() -> Any:
        failed = state.list_cluster_events(filters=[("severity", "=", "ERROR"), ("source_type", "=", "CORE_WORKER")])
        return [event for event in failed if "exit code 3" in event.message]

    wait_until(death, 20)
    whole = state.list_cluster_events()
    assert [event.time for event in whole] == sorted(event.time for event in whole)
    assert any("was added" in event.message for event in whole)
    assert any("joined" in event.message for event in whole)
    assert len({event.event_id for event in whole}) == len(whole)
    assert len(state.list_cluster_events(limit=1)) == 1
