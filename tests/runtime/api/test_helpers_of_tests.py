"""What tests of programs for Ray import beside its public names: helpers under `_common` and `_private`."""

from __future__ import annotations

import asyncio
import importlib
import os
import pickle
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb
from raynb._common import test_utils
from raynb._private import client_mode_hook, internal_api, state
from raynb._private.gcs_client import GcsClient
from raynb._private.state_api_test_utils import (
    verify_failed_task,
    wait_for_task_states,
)
from raynb._private.worker import global_worker
from raynb.experimental import get_local_object_locations, get_object_locations, internal_kv
from raynb.job_config import JobConfig
from raynb.runtime.api.system_config import CALLED_OTHERWISE, WITHOUT_EFFECT, config_of
from raynb.util import state as state_api
from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


# -- conditions


def test_a_condition_is_asked_until_it_holds() -> None:
    answers = iter([False, False, True])
    test_utils.wait_for_condition(lambda: next(answers), retry_interval_ms=1)


def test_a_condition_that_does_not_hold_in_time_is_an_error_with_what_it_raised() -> None:
    def fails() -> bool:
        raise KeyError("not there")

    with pytest.raises(RuntimeError, match=r"The condition wasn't met before the timeout expired[\s\S]*not there"):
        test_utils.wait_for_condition(fails, timeout=0.05, retry_interval_ms=1)
    with pytest.raises(KeyError):
        test_utils.wait_for_condition(fails, timeout=5, raise_exceptions=True)
    with pytest.raises(RuntimeError, match="wasn't met"):
        asyncio.run(test_utils.async_wait_for_condition(lambda: False, timeout=0.05, retry_interval_ms=1))


# -- actors


def test_a_signal_lets_all_go_on_that_wait_for_it(ray: Ray) -> None:
    signal: Any = test_utils.SignalActor.remote()
    waiting = [signal.wait.remote() for _ in range(3)]
    test_utils.wait_for_condition(lambda: ray.get(signal.cur_num_waiters.remote()) == 3)
    ray.get(signal.send.remote())
    assert ray.get(waiting) == [None] * 3
    assert ray.get(signal.cur_num_waiters.remote()) == 0


def test_a_semaphore_is_had_by_so_many_at_once(ray: Ray) -> None:
    semaphore: Any = test_utils.Semaphore.remote(value=1)
    ray.get(semaphore.acquire.remote())
    assert ray.get(semaphore.locked.remote())
    second = semaphore.acquire.remote()
    ray.get(semaphore.release.remote())
    ray.get(second)


# -- programs


def test_a_program_given_as_text_is_run_and_its_output_is_had() -> None:
    assert test_utils.run_string_as_driver("print(3)") == "3\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        test_utils.run_string_as_driver("raise SystemExit(3)")
    assert failed.value.returncode == 3


# -- this process's connection


def test_the_worker_says_what_it_is(ray: Ray, cluster: Any) -> None:
    assert global_worker.connected
    assert global_worker.mode == raynb.SCRIPT_MODE
    assert global_worker.node.unique_id == cluster["node_id"]
    assert global_worker.node.address_info["session_dir"] == cluster["session_dir"]
    assert global_worker.current_job_id.hex() == ray.get_runtime_context().get_job_id()
    modes = ray.remote(lambda: global_worker.mode)
    assert ray.get(modes.remote()) == raynb.WORKER_MODE


def test_references_are_counted(ray: Ray) -> None:
    ref = ray.put(np.zeros(100))
    counts = global_worker.core_worker.get_all_reference_counts
    assert counts()[ref.hex().encode()] == {"local": 1, "submitted": 0}
    assert global_worker.core_worker.get_memory_store_size() >= 1
    other = ray.put([ref])
    assert counts()[ref.hex().encode()]["submitted"] == 1
    del other
    test_utils.wait_for_condition(lambda: counts()[ref.hex().encode()]["submitted"] == 0)


def test_what_a_worker_has_waited_for_is_let_go_at_once(ray: Ray) -> None:
    class Waits:
        def wait(self) -> float:
            return float(raynb.get(raynb.remote(_after_a_while).remote()))

        def holds(self) -> int:
            return len(global_worker.core_worker.get_all_reference_counts())

    actor = ray.remote(Waits).remote()
    assert ray.get(actor.wait.remote()) == 1
    deadline = time.monotonic() + 0.5  # the thread that looks after waits goes on for longer
    while ray.get(actor.holds.remote()):
        assert time.monotonic() < deadline


def _after_a_while() -> int:
    # A wait is looked after when it lasts.
    time.sleep(0.7)
    return 1


def test_an_object_is_freed_by_hand(ray: Ray, errors: Any) -> None:
    ref = ray.put(np.zeros(100_000))
    internal_api.free([ref])
    with pytest.raises(errors.ObjectFreedError):
        ray.get(ref)
    with pytest.raises(TypeError, match=r"not an ray\.ObjectRef"):
        internal_api.free([1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="local_only"):
        internal_api.free([ref], local_only=True)


def test_a_reference_that_is_pickled_by_hand_counts_once_more(ray: Ray) -> None:
    counts = global_worker.core_worker.get_all_reference_counts
    ref = ray.put("kept")
    text, key = pickle.dumps(ref), ref.hex().encode()
    pickle.dumps(ref)
    wait_until(lambda: counts()[key]["local"] == 2)
    del ref
    wait_until(lambda: counts()[key]["local"] == 1)
    assert ray.get(pickle.loads(text)) == "kept"


def test_the_cluster_s_state_has_the_keys_that_ray_has(ray: Ray) -> None:
    class Quiet:
        pass

    actor = ray.remote(Quiet).remote()
    ray.get(actor.__ray_ready__.remote())
    row = state.actors(actor._actor_id.hex())
    assert (row["State"], row["Name"], row["NumRestarts"]) == ("ALIVE", "", 0)
    assert row["ActorClassName"].endswith(".<locals>.Quiet")
    assert actor._actor_id.hex() in state.actors(actor_state_name="ALIVE")
    with pytest.raises(ValueError, match="not a valid actor state name"):
        state.actors(actor_state_name="BORED")
    mine = next(job for job in state.jobs() if job["DriverPid"] == os.getpid() and not job["IsDead"])
    assert mine["Timestamp"] == mine["StartTime"]
    assert mine["DriverIPAddress"] == ray.nodes()[0]["NodeManagerAddress"]
    assert any(worker["IsDriver"] for worker in state.workers().values())
    (node,) = state.total_resources_per_node()
    assert state.total_resources_per_node()[node]["CPU"] == 4
    assert state.available_resources_per_node()[node]["CPU"] <= 4
    assert state.current_node_id() in state.node_ids()
    assert state.state.actor_table(actor._actor_id.hex())["State"] == "ALIVE"


def test_keys_are_kept_by_the_cluster(ray: Ray) -> None:
    assert internal_kv._internal_kv_put("key", "1") is False
    assert internal_kv._internal_kv_put("key", b"2", overwrite=False) is True
    assert internal_kv._internal_kv_get("key") == b"1"
    assert internal_kv._internal_kv_get("key", namespace="other") is None
    assert internal_kv._internal_kv_exists(b"key")
    assert internal_kv._internal_kv_del("key") == 1
    assert internal_kv._internal_kv_get("key") is None


def test_keys_are_listed_and_let_go_by_how_they_begin(ray: Ray) -> None:
    for key in ("k1", "k2", "other"):
        internal_kv._internal_kv_put(key, "value", namespace="n")
    internal_kv._internal_kv_put("k3", "value")
    assert internal_kv._internal_kv_list("k", namespace=b"n") == [b"k1", b"k2"]
    assert internal_kv._internal_kv_del("k", del_by_prefix=True, namespace="n") == 2
    assert internal_kv._internal_kv_del("x", del_by_prefix=True, namespace="n") == 0
    assert internal_kv._internal_kv_list(b"", namespace="n") == [b"other"]
    with pytest.raises(RuntimeError, match="may not begin with @namespace_"):
        internal_kv._internal_kv_list("@namespace_n")


def test_keys_of_a_cluster_are_had_by_its_address_without_a_connection(ray: Ray, tmp_path: Path) -> None:
    here, address = GcsClient(), raynb.get_runtime_context().gcs_address
    assert GcsClient(address=address).address == here.address
    assert here.internal_kv_put(b"key", b"value") == 1
    code = (
        "from raynb._private.gcs_utils import GcsClient\n"
        "from raynb.experimental import internal_kv\n"
        f"client = GcsClient(address={address!r})\n"
        "print(client.internal_kv_get(b'key'), client.internal_kv_exists(b'no'), client.internal_kv_keys(b'ke'))\n"
        "internal_kv._initialize_internal_kv(client)\n"
        "print(internal_kv._internal_kv_initialized(), internal_kv._internal_kv_put('key', 'more'))\n"
        "print(client.internal_kv_del(b'key'), internal_kv._internal_kv_get('key'))\n"
    )
    out = test_utils.run_string_as_driver(code)
    assert out.splitlines() == ["b'value' False [b'key']", "True True", "1 None"]
    assert here.internal_kv_get(b"key") is None
    assert asyncio.run(here.async_internal_kv_put(b"key", b"late")) == 1
    assert asyncio.run(here.async_internal_kv_get(b"key")) == b"late"
    assert here.internal_kv_multi_get([b"key", b"no"]) == {b"key": b"late"}
    assert asyncio.run(here.async_internal_kv_multi_get([b"no"])) == {}
    assert asyncio.run(here.async_internal_kv_keys(b"ke")) == [b"key"]
    assert asyncio.run(here.async_internal_kv_exists(b"key"))
    assert asyncio.run(here.async_internal_kv_del(b"ke", True)) == 1
    assert not here.internal_kv_exists(b"key")


def test_the_state_of_a_task_has_its_environment(ray: Ray) -> None:
    plain, other = ray.remote(lambda: 1), ray.remote(runtime_env={"env_vars": {"WHAT": "that"}})(lambda: 2)
    ray.get([plain.options(name="plain").remote(), other.options(name="other").remote()])
    found = {row.name: row.runtime_env_info for row in state_api.list_tasks(detail=True)}
    assert found["plain"] == {"serialized_runtime_env": "{}"}
    assert found["other"] == {"serialized_runtime_env": '{"env_vars":{"WHAT":"that"}}'}


# -- names that programs for earlier versions of Ray use


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("experimental.state.api", ["list_tasks", "StateApiClient"]),
        ("experimental.state.common", ["ListApiOptions", "StateResource"]),
        ("util.state.common", ["StateSchema", "SummaryApiOptions", "state_column"]),
        ("util.state.exception", ["DataSourceUnavailable", "RayStateApiException", "ServerUnavailable"]),
        ("actor", ["ActorProxy"]),
        ("util.accelerators", ["NVIDIA_TESLA_V100"]),
        ("_private.client_mode_hook", ["client_mode_should_convert", "client_mode_hook"]),
        ("_raylet", ["ObjectRefStreamEndOfStreamError", "ClusterID"]),
        ("_private.worker", ["pickle"]),
        ("cluster_utils", ["cluster_not_supported"]),
    ],
)
def test_a_name_is_where_programs_look_for_it(module: str, names: list[str]) -> None:
    found = importlib.import_module(f"raynb.{module}")
    assert [name for name in names if not hasattr(found, name)] == []


def test_there_is_no_client_mode() -> None:
    assert not client_mode_hook.is_client_mode_enabled and not client_mode_hook.client_mode_should_convert()
    assert client_mode_hook.client_mode_hook(len) is len and client_mode_hook.client_mode_wrap(len) is len
    with client_mode_hook.disable_client_hook():
        pass
    with pytest.raises(RuntimeError, match="no client mode"), client_mode_hook.enable_client_mode():
        pass


def test_any_table_is_listed_by_its_name(ray: Ray) -> None:
    lister = state_api.StateApiClient()
    options = state_api.ListApiOptions(filters=[("state", "=", "ALIVE")], detail=True)
    (row,) = lister.list(state_api.StateResource.NODES, options)
    (same,) = state_api.list_nodes(filters=options.filters, detail=True)
    # The figures of a node change from one look to the next.
    assert row.node_id == same.node_id
    assert set(row) == set(same) > set(state_api.list_nodes()[0])
    with pytest.raises(state_api.RayStateApiException, match="no table 'nodes'"):
        lister.list("nodes", options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_failed_task_is_verified_by_its_words(ray: Ray) -> None:
    @ray.remote(max_retries=0)
    def fails_with_words() -> None:
        raise ValueError("these words")

    with pytest.raises(ValueError, match="these words"):
        ray.get(fails_with_words.remote())
    wait_for_task_states({"fails_with_words": "FAILED"})
    assert verify_failed_task("fails_with_words", "TASK_EXECUTION_EXCEPTION", ["these", "words"])
    with pytest.raises(AssertionError):
        verify_failed_task("fails_with_words", "WORKER_DIED")


def test_an_object_exists_while_somebody_has_it(ray: Ray) -> None:
    exists = global_worker.core_worker.object_exists
    inner = ray.put("inner")
    outer, name = ray.put([inner]), inner.binary()
    del inner
    assert exists(ray.ObjectRef(name))
    del outer
    wait_until(lambda: not exists(ray.ObjectRef(name)), 20)


def test_an_object_exists_here_when_this_node_or_this_process_has_its_value(ray: Ray) -> None:
    exists = global_worker.core_worker.object_exists
    small, large = ray.put(1), ray.put(bytes(10**6))
    assert exists(small) and exists(small, memory_store_only=True)
    assert exists(large) and not exists(large, memory_store_only=True)
    event: Any = test_utils.SignalActor.remote()
    pending = event.wait.remote()
    assert not exists(pending), "it is told at once"
    ray.get(event.send.remote())
    ray.get(pending)
    assert exists(pending)


def test_where_objects_are_is_told_without_asking_anybody(ray: Ray) -> None:
    large = ray.put(bytes(10**6))
    assert get_local_object_locations([large]) == get_object_locations([large])


# -- what a cluster is told


def test_names_of_ray_s_configuration_are_known() -> None:
    config = config_of(
        {
            "max_direct_call_object_size": 1000,
            "idle_worker_killing_time_threshold_ms": 500,
            "object_spilling_config": '{"type": "filesystem", "params": {"directory_path": "/somewhere"}}',
            "health_check_period_ms": 1,
        }
    )
    assert (config.inline_limit_bytes, config.worker_idle_s, config.spill_directory) == (1000, 0.5, "/somewhere")
    for changes in ({"max_lineage_bytes": 9}, {"max_lineage_bytes": 9, "lineage_pinning_enabled": True}):
        assert config_of(changes).lineage_bytes_max == 9
    assert config_of({"max_lineage_bytes": 9, "lineage_pinning_enabled": False}).lineage_bytes_max == 0
    assert config_of({"automatic_object_spilling_enabled": False}).spill_directory == "off"
    assert not CALLED_OTHERWISE.keys() & WITHOUT_EFFECT.keys()
    with pytest.raises(ValueError, match="no 'zork'"):
        config_of({"zork": 1})
    with pytest.raises(ValueError, match="folders only, not to 's3'"):
        config_of({"object_spilling_config": {"type": "s3"}})
    for params in ({}, {"directory_path": "/there", "how": "fast"}):
        with pytest.raises(TypeError, match="directory_path"):
            config_of({"object_spilling_config": {"type": "filesystem", "params": params}})


def test_names_of_ray_s_configuration_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_max_direct_call_object_size", "1000")
    monkeypatch.setenv("RAY_record_ref_creation_sites", "True")
    monkeypatch.setenv("RAY_automatic_object_spilling_enabled", "false")
    monkeypatch.setenv("RAY_object_spilling_directory", "/somewhere")
    config = config_of(None)
    assert (config.inline_limit_bytes, config.record_call_sites, config.spill_directory) == (1000, True, "off")
    said = {"max_direct_call_object_size": 7, "spill_directory": "/there"}
    config = config_of(said)
    assert (config.inline_limit_bytes, config.spill_directory) == (7, "/there"), "what the program says goes before"
    monkeypatch.setenv("RAY_worker_register_timeout_seconds", "soon")
    with pytest.raises(ValueError, match="RAY_worker_register_timeout_seconds can't be 'soon'"):
        config_of(None)


def test_a_job_config_says_namespace_and_environment(bare_ray: Ray) -> None:
    bare_ray.shutdown()
    job = JobConfig(ray_namespace="mine", runtime_env={"env_vars": {"WHAT": "this"}}, metadata={"owner": "me"})
    job.set_metadata("purpose", "a test")
    with cluster_of(bare_ray, num_cpus=1, job_config=job):
        context = bare_ray.get_runtime_context()
        assert context.namespace == "mine"
        assert context.runtime_env["env_vars"] == {"WHAT": "this"}
        (row,) = state_api.list_jobs()
        assert row.runtime_env == {"env_vars": {"WHAT": "this"}}
        assert row.metadata == {"owner": "me", "purpose": "a test"}
    with pytest.raises(ValueError, match="jvm_options"):
        JobConfig(jvm_options=["-X"])
    with pytest.raises(TypeError, match="texts"):
        job.set_metadata("number", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    given = {"ray_namespace": "theirs", "metadata": {"a": "b"}, "client_job": True}
    assert repr(JobConfig.from_json(given)) == repr(JobConfig(ray_namespace="theirs"))
    assert JobConfig.from_json(given).metadata == {"a": "b"}


def test_init_refuses_what_it_can_not_do(bare_ray: Ray) -> None:
    with pytest.raises(RuntimeError, match=r"Unknown keyword argument\(s\): zork"):
        bare_ray.init(zork=1)
    with pytest.raises(ValueError, match="not a valid namespace"):
        bare_ray.init(namespace="")
    with pytest.raises(TypeError, match="None or a string"):
        bare_ray.init(namespace=5)
    with pytest.raises(ValueError, match="existing cluster, num_cpus and num_gpus must not be provided"):
        bare_ray.init("auto", num_cpus=1)
    with pytest.raises(ValueError, match="object_store_memory must not be provided"):
        bare_ray.init("auto", object_store_memory=2**30)


def test_the_environment_may_say_which_cluster_is_meant(bare_ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    from raynb.cluster_utils import Cluster

    bare_ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "resources": {"this one": 1}})
    try:
        monkeypatch.setenv("RAY_ADDRESS", str(cluster.address))
        bare_ray.init()
        assert bare_ray.cluster_resources()["this one"] == 1
    finally:
        bare_ray.shutdown()
        cluster.shutdown()


def test_what_is_left_of_an_earlier_cluster_is_refused_and_harms_nothing(bare_ray: Ray) -> None:
    errors = bare_ray.exceptions

    class Quiet:
        def say(self, value: object = None) -> object:
            return value

    with cluster_of(bare_ray, num_cpus=1):
        ref = bare_ray.put(1)
        actor = bare_ray.remote(Quiet).remote()
        bare_ray.get(actor.say.remote())
    with cluster_of(bare_ray, num_cpus=1):
        same = bare_ray.remote(lambda value: value)
        for use in (
            lambda: bare_ray.get(ref),
            lambda: bare_ray.wait([ref]),
            lambda: same.remote(ref),
            lambda: bare_ray.remote(Quiet).remote().say.remote(ref),
        ):
            with pytest.raises(ValueError, match=r"Ray object whose owner is unknown[\s\S]*of an earlier connection"):
                use()
        for inside in ([ref], actor):
            with pytest.raises(TypeError, match="of an earlier connection"):
                same.remote(inside)
        with pytest.raises(ValueError, match="Ray object whose owner is unknown"):  # as in Ray
            same.remote([ref])
        with pytest.raises(errors.ActorHandleNotFoundError, match="from a different cluster"):
            actor.say.remote()
        assert bare_ray.get(same.remote(2)) == 2
