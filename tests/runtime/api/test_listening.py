"""Who listens to a cluster hears of its errors and reads what its tasks print."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

import raynb
from raynb._private import ray_constants, utils
from raynb._private.gcs_client import GcsClient
from raynb._private.pubsub import GcsErrorSubscriber, GcsLogSubscriber, Told
from raynb._private.test_utils import (
    get_error_message,
    get_log_batch,
    get_log_data,
    get_log_message,
    get_log_sources,
    init_error_pubsub,
    init_log_pubsub,
)
from raynb._private.worker import global_worker
from raynb.runtime.api.published import KEPT_MAX
from tests.support.module import Ray, state_api
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


def die(how: str) -> None:
    if how == "exit":
        exit()
    os._exit(1)


# -- errors


@pytest.mark.parametrize("how", ["exit", "os._exit"])
def test_that_a_worker_died_with_a_task_is_told(ray: Ray, errors: Any, how: str) -> None:
    subscriber = init_error_pubsub()
    with pytest.raises(errors.WorkerCrashedError):
        ray.get(ray.remote(die).options(max_retries=0).remote(how))
    (told,) = get_error_message(subscriber, 1, ray_constants.WORKER_DIED_PUSH_ERROR)
    assert told["type"] == told.type == "worker_died"
    assert told["job_id"] == global_worker.current_job_id.binary()
    assert "died or was killed while executing" in told["error_message"]
    assert get_error_message(subscriber, timeout=0.3) == []  # once
    subscriber.close()
    assert get_error_message(subscriber, timeout=5) == []


def test_an_actor_that_ends_as_it_is_asked_to_is_no_error(ray: Ray) -> None:
    subscriber = init_error_pubsub()
    one, other = (ray.remote(Some).remote() for _ in range(2))
    ray.get([one.pid.remote(), other.pid.remote()])
    ray.kill(one)
    other.__ray_terminate__.remote()
    assert get_error_message(subscriber, timeout=1) == []


def test_an_actor_that_nobody_refers_to_before_it_lives_is_no_error(ray: Ray) -> None:
    subscriber = init_error_pubsub()
    for _ in range(3):
        ray.remote(Some).remote()
    wait_until(lambda: all(actor.state == "DEAD" for actor in state_api().list_actors()))
    assert get_error_message(subscriber, timeout=1) == []


class Some:
    def pid(self) -> int:
        return os.getpid()

    def say(self) -> None:
        print("one")
        print("two")


def test_that_an_actor_died_is_told(ray: Ray) -> None:
    subscriber = init_error_pubsub()
    os.kill(ray.get(ray.remote(Some).remote().pid.remote()), 9)
    (told,) = get_error_message(subscriber, 1)
    assert told["type"] == "worker_died"


def test_a_program_s_own_errors_are_told_and_shown(ray: Ray, capsys: pytest.CaptureFixture[str]) -> None:
    early = "from before anybody listened"
    utils.push_error_to_driver(global_worker, "mine", early)
    subscriber = init_error_pubsub()
    utils.push_error_to_driver(global_worker, "mine", "for all")
    utils.publish_error_to_driver(
        "other", "for one", gcs_client=global_worker.gcs_client, job_id=raynb.JobID.from_int(7)
    )

    @ray.remote
    def push() -> None:
        raynb._private.utils.push_error_to_driver(raynb._private.worker.global_worker, "task's", "from a task")

    ray.get(push.remote())
    told = [(each["type"], each["error_message"]) for each in get_error_message(subscriber, 3)]
    assert told == [("mine", "for all"), ("other", "for one"), ("task's", "from a task")]
    shown = capsys.readouterr().err
    assert "(raynb) for all" in shown and early in shown
    assert "for one" not in shown  # that is another job's


def test_a_cluster_keeps_its_last_errors_only(ray: Ray) -> None:
    client = GcsClient()
    for number in range(KEPT_MAX + 2):
        client.publish_error(b"", "many", str(number))
    subscriber = GcsErrorSubscriber()
    subscriber.subscribe()
    assert get_error_message(subscriber, timeout=0) == []
    assert len(client.internal_kv_keys(b"", b"published errors")) == KEPT_MAX


@pytest.mark.filterwarnings("ignore::raynb.runtime.codec.captures.LargeCaptureWarning")
def test_that_a_function_or_a_class_is_large_is_told(ray: Ray) -> None:
    subscriber = init_error_pubsub()
    large = bytes(2 * ray_constants.FUNCTION_SIZE_WARN_THRESHOLD)

    @ray.remote
    def f() -> int:
        return len(large)

    class Large:
        def size(self) -> int:
            return len(large)

    for make in (f.remote, ray.remote(Large).remote):
        kept = make()
        (told,) = get_error_message(subscriber, 1, ray_constants.PICKLING_LARGE_OBJECT_PUSH_ERROR)
        assert told["job_id"] == global_worker.current_job_id.binary()
        del kept


# -- lines


def read(subscriber: GcsLogSubscriber, lines: int, matcher: Callable[[Any], Any] | None = None) -> Told:
    """Batches, which come as they are sent, as one."""
    (batch,) = get_log_batch(subscriber, 1, matcher=matcher)
    while len(batch["lines"]) < lines:
        (more,) = get_log_batch(subscriber, 1, matcher=matcher)
        batch["lines"] += more["lines"]
    return batch


def test_what_tasks_print_is_read_line_by_line(ray: Ray) -> None:
    subscriber = init_log_pubsub()

    @ray.remote
    def speak(*, err: bool) -> int:
        import sys

        print("first\nsecond", file=sys.stderr if err else sys.stdout)
        return os.getpid()

    pid = ray.get(speak.remote(err=False))
    batch = read(subscriber, 2)
    assert batch["lines"] == ["first", "second"]
    assert (batch["pid"], batch["is_err"], batch["task_name"], batch["actor_name"]) == (str(pid), False, "speak", "")
    assert batch["job"] == raynb.get_runtime_context().get_job_id()
    ray.get(speak.remote(err=True))
    assert read(subscriber, 2, lambda batch: batch["is_err"])["lines"] == ["first", "second"]


def test_lines_are_chosen_by_what_is_in_them_and_by_whose_they_are(ray: Ray) -> None:
    subscriber = init_log_pubsub()
    job = raynb.get_runtime_context().get_job_id()
    some = ray.remote(Some).remote()

    def say() -> None:
        ray.get(some.say.remote())

    say()
    (batch,) = get_log_data(subscriber, 1, matcher=lambda line: line == "two")
    assert batch["actor_name"] == "Some" and "two" in batch["lines"]
    say()
    (lines,) = get_log_message(subscriber, 1, job_id=job, matcher=lambda line: line == "two")
    assert "two" in lines
    say()
    assert get_log_sources(subscriber, 1) == {str(ray.get(some.pid.remote()))}
    say()
    assert get_log_message(subscriber, job_id="00000000", timeout=0.3) == []
    subscriber.close()
    while get_log_batch(subscriber, timeout=0):
        pass
    say()
    assert get_log_message(subscriber, timeout=0.3) == []


def test_nothing_is_kept_of_a_stream_that_was_read(ray: Ray) -> None:
    @raynb.remote(num_returns="streaming")
    def count() -> Any:
        yield from range(5)

    size = global_worker.core_worker.get_memory_store_size
    before = size()
    refs = list(count.remote())
    assert raynb.get(refs) == [0, 1, 2, 3, 4]
    assert size() >= before + 5
    refs.clear()
    wait_until(lambda: size() == before)
