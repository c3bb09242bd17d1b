"""Small things that tests of programs for Ray import from `_private`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

import raynb
from raynb import cloudpickle
from raynb._common import test_utils
from raynb._common import utils as common_utils
from raynb._private import gcs_utils, services, state, utils, worker
from raynb._private import test_utils as private_test_utils
from raynb._private.state_api_test_utils import (
    PidActor,
    _is_actor_task_running,
    verify_tasks_running_or_terminated,
)
from raynb.util import state as state_api
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


def test_ctrl_c_waits_until_it_is_let_in() -> None:
    got: list[str] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: got.append("before"))
    try:
        with utils.DeferSigint():
            signal.raise_signal(signal.SIGINT)
            assert got == []
        assert got == ["before"]
        with utils.DeferSigint.create_if_main_thread():
            signal.raise_signal(signal.SIGINT)
            signal.signal(signal.SIGINT, lambda number, frame: got.append("later"))
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        assert got == ["before", "later"]  # the handler that was set meanwhile holds
        with pytest.raises(KeyError), utils.DeferSigint():
            signal.raise_signal(signal.SIGINT)
            raise KeyError
        assert got == ["before", "later"]
        signal.raise_signal(signal.SIGINT)
        assert got[2:] == ["later"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_can_not_be_pickled_is_told_with_what_shows_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lock = threading.Lock()
    assert cloudpickle.loads(cloudpickle.dumps_debug([1])) == [1]
    with pytest.raises(TypeError, match="RAY_PICKLE_VERBOSE_DEBUG=1"):
        cloudpickle.dumps_debug(lock)
    with (tmp_path / "file").open("wb") as file, pytest.raises(TypeError, match="inspect_serializability"):
        cloudpickle.dump_debug(lambda: lock, file)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RAY_PICKLE_VERBOSE_DEBUG", "1")
    with pytest.raises(TypeError, match="lock"):
        cloudpickle.dumps_debug(lambda: lock)
    assert "lock" in capsys.readouterr().out


def test_without_a_cluster_there_is_no_job() -> None:
    words = "from raynb._private.worker import global_worker as here; print(here.current_job_id.is_nil())"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


def test_ctrl_c_is_nothing_to_other_threads() -> None:
    with ThreadPoolExecutor() as pool:
        assert isinstance(pool.submit(utils.DeferSigint.create_if_main_thread).result(), nullcontext)


def test_a_group_s_resources_have_their_old_names() -> None:
    group = "4482dec0faaf5ead891ff1659a9501000000"
    amounts = {f"CPU_group_0_{group}": 1.0, f"GPU_group_{group}": 2.0, f"bundle_group_1_{group}": 0.1, "memory": 5.0}
    assert utils.parse_pg_formatted_resources_to_original(amounts) == {"CPU": 1.0, "GPU": 2.0, "memory": 5.0}


def test_a_port_is_found_and_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert private_test_utils.wait_until_server_available(f"127.0.0.1:{port}")
        assert port not in private_test_utils.find_available_port(port, port + 50, 2)
    free = private_test_utils.get_current_unused_port()
    assert not private_test_utils.wait_until_server_available(f"127.0.0.1:{free}", timeout_ms=50, retry_interval_ms=5)
    with pytest.raises(RuntimeError, match="1 unused ports were wanted"):
        private_test_utils.find_available_port(5, 5)


def test_commands_are_run_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"Start a cluster" in private_test_utils.check_call_ray(["--help"], capture_stdout=True)
    both = ["sh", "-c", "echo out; echo err >&2"]
    assert private_test_utils.check_call_subprocess(both, capture_stdout=True, capture_stderr=True) == b"out\nerr\n"
    assert private_test_utils.check_call_subprocess(both, capture_stderr=True) == b"err\n"
    with pytest.raises(subprocess.CalledProcessError):
        private_test_utils.check_call_subprocess(["false"])


def test_links_and_imports_are_tried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    link = tmp_path / "link"
    for target in ("one", "two"):
        utils.try_to_symlink(str(link), str(tmp_path / target))
        assert os.readlink(link) == str(tmp_path / target)
    (tmp_path / "file").write_text("kept")
    utils.try_to_symlink(str(tmp_path / "file"), "one")
    assert (tmp_path / "file").read_text() == "kept"
    utils.try_import_each_module(["json", "no_such_module"])
    assert [record.args for record in caplog.records] == [("no_such_module",)]


def test_an_event_loop_is_that_of_the_thread() -> None:
    async def running() -> bool:
        return common_utils.get_or_create_event_loop() is asyncio.get_running_loop()

    def loops() -> tuple[bool, bool]:
        with closing(common_utils.get_or_create_event_loop()) as made, closing(asyncio.new_event_loop()) as mine:
            asyncio.set_event_loop(mine)
            return made is not mine, common_utils.get_or_create_event_loop() is mine

    assert asyncio.run(running())
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(loops).result() == (True, True)


def test_the_environment_says_which_cluster_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert services.get_ray_address_from_environment("here", None) == "here"
    monkeypatch.setenv("RAY_ADDRESS", "there")
    assert services.get_ray_address_from_environment("here", None) == "there"


def test_small_questions_have_answers() -> None:
    assert utils.split_address("scheme://there") == ("scheme", "there")
    with pytest.raises(ValueError, match="must contain"):
        utils.split_address("there")
    assert utils.get_user() and "python" in utils.get_entrypoint_name()
    assert 0 < utils.estimate_available_memory() < utils.get_system_memory()
    assert private_test_utils.convert_actor_state(gcs_utils.ActorTableData.ALIVE) == "ALIVE"
    assert private_test_utils.convert_actor_state("DEAD") == "DEAD"
    private_test_utils.reset_autoscaler_v2_enabled_cache()
    assert private_test_utils.dicts_equal({"a": 1.0, "b": 2}, {"a": 1.00001, "b": 2})
    assert not private_test_utils.dicts_equal({"a": 1.0}, {"a": 1.1})


def test_which_process_has_a_task_is_checked(ray: Ray) -> None:
    signal_actor: Any = test_utils.SignalActor.remote()
    noted: Any = PidActor.remote()

    @ray.remote
    def run(name: str) -> None:
        ray.get(noted.report_pid.remote(name, os.getpid(), "RUNNING"))
        ray.get(signal_actor.wait.remote())

    ref = run.options(name="running one").remote("running one")
    wait_until(lambda: ray.get(signal_actor.cur_num_waiters.remote()) == 1)
    pids = ray.get(noted.get_pids.remote())
    wait_until(lambda: state_api.list_tasks(filters=[("name", "=", "running one"), ("state", "=", "RUNNING")]))
    assert verify_tasks_running_or_terminated(pids, 1)
    assert _is_actor_task_running(pids["running one"][0], "running one")
    ray.get(signal_actor.send.remote())
    ray.get(ref)
    ended = {"running one": (pids["running one"][0], "FINISHED")}
    test_utils.wait_for_condition(lambda: verify_tasks_running_or_terminated(ended, 1))


def test_the_cluster_s_state_says_when_an_actor_began_and_ended(ray: Ray) -> None:
    class Short:
        pass

    before_ms = time.time() * 1000
    actor = ray.remote(Short).remote()
    ray.get(actor.__ray_ready__.remote())
    row = state.actors(actor._actor_id.hex())
    assert before_ms <= row["StartTime"] == row["Timestamp"] <= time.time() * 1000
    assert row["EndTime"] == 0 and row["Address"]["IPAddress"] == ray.nodes()[0]["NodeManagerAddress"]
    assert row["OwnerAddress"]["NodeID"] == row["Address"]["NodeID"] == ray.nodes()[0]["NodeID"]
    ray.kill(actor)
    wait_until(lambda: state.actors(actor._actor_id.hex())["State"] == "DEAD")
    ended = state.actors(actor._actor_id.hex())
    assert ended["StartTime"] == row["StartTime"] <= ended["EndTime"] == ended["Timestamp"] <= time.time() * 1000


def test_an_id_for_a_job_is_no_job_s(ray: Ray) -> None:
    assert state.next_job_id().hex() not in {job["JobID"] for job in state.jobs()}
    assert state.next_job_id() != state.next_job_id()
    assert raynb.ClusterID.size() == 28


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_runs_knows_what_it_holds(ray: Ray) -> None:
    assert worker.get_resource_ids() == {}
    held = ray.remote(num_cpus=2, resources={"special": 0.5})(lambda: worker.get_resource_ids())
    assert ray.get(held.remote()) == {"CPU": [(0, 2.0)], "special": [(0, 0.5)]}


def test_a_background_task_is_kept_until_it_is_done() -> None:
    async def program() -> list[int]:
        done = asyncio.Event()
        task = common_utils.run_background_task(done.wait())
        sizes = [len(common_utils._BACKGROUND_TASKS)]
        done.set()
        await task
        await asyncio.sleep(0)  # a callback of the task lets it go
        return [*sizes, len(common_utils._BACKGROUND_TASKS)]

    assert asyncio.run(program()) == [1, 0]


def test_modules_are_had_as_attributes_where_ray_has_them_so() -> None:
    code = (
        "import raynb as ray\n"
        "ray.init(num_cpus=1)\n"
        "print(ray.worker.global_worker.connected, ray.worker._global_node is not None, ray.state.actors())\n"
        "print(ray.ray_constants.GPU, list(ray.util.iter.from_range(2).gather_sync()))\n"
    )
    assert test_utils.run_string_as_driver(code).splitlines()[-2:] == ["True True {}", "GPU [0, 1]"]
