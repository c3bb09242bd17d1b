"""A real node: what it gives to clients, and what is left of it when parts of it, or all, are killed."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb.runtime.adapters.launch import ClusterInfo, ClusterLaunchError, ClusterOptions, launch_cluster
from raynb.runtime.adapters.processes import Process, is_alive
from raynb.runtime.adapters.registry import clusters
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.node import (
    KillWorker,
    LeaseDemand,
    LeaseGranted,
    LeaseInfeasible,
    LeaseReturned,
    LeaveNode,
    NodeJoined,
    ProcessDied,
    StopNode,
    WhyWaiting,
)
from raynb.runtime.messages.objects import AllocateExtent, ExtentGranted
from tests.runtime.daemons.node_clients import Driver
from tests.support.leaks import processes_of, shared_memory_of
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
END_S_MAX = 2.0
Launch = Callable[..., ClusterInfo]


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launch]:
    """Start clusters with stand-in workers, which are ended after the test, and must leave nothing."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    started: list[ClusterInfo] = []
    # Sessions get short paths of their own, so that one test's sweep is not another's.
    temp_dir = Path("/tmp") / f"raynb-test-{os.getpid()}-{os.urandom(3).hex()}"
    temp_dir.mkdir(0o700)

    def start(**changes: Any) -> ClusterInfo:
        options = {
            "num_cpus": 2,
            "object_store_memory": 100_000_000,
            "driver_pid": os.getpid(),
            "worker_main": "tests.runtime.daemons.stand_in_worker:run",
            "registry_dir": str(tmp_path / "registry" / "raynb" / "clusters"),
            "temp_dir": str(temp_dir),
            **changes,
        }
        (tmp_path / "registry").mkdir(0o700, exist_ok=True)
        info = launch_cluster(ClusterOptions(**options))
        started.append(info)
        return info

    yield start
    for info in started:
        end(info)
        assert_gone(info)
    subprocess.run(["rm", "-r", str(temp_dir)], check=True)


def end(info: ClusterInfo, signum: int = signal.SIGTERM) -> float:
    """End a cluster by a signal to its node manager; gives the seconds that it took."""
    began = time.monotonic()
    if is_alive(info.pid) and info.session in title(info.pid):
        os.kill(info.pid, signum)
        wait_until(lambda: not is_alive(info.pid), what="the node manager has ended")
    return time.monotonic() - began


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
    except OSError:
        return ""


def assert_gone(info: ClusterInfo) -> None:
    """No process, no shared memory, no file of it is left."""
    wait_until(lambda: not living(info), what="all its processes have ended")
    assert shared_memory_of(info.session) == []
    assert not Path(info.session_dir).exists()


def living(info: ClusterInfo) -> dict[int, str]:
    return {pid: name for pid, name in processes_of(info.session).items() if is_alive(pid)}


def workers(info: ClusterInfo) -> list[int]:
    return [pid for pid, name in living(info).items() if " worker " in name]


def pid_of(info: ClusterInfo, what: str) -> int:
    """Pid of the daemon of this kind that runs now; 0 if there is none."""
    return next((pid for pid, name in living(info).items() if what in name and " worker " not in name), 0)


# -- a day in the life


def test_a_cluster_is_processes_of_their_own_that_say_who_they_are(launch: Launch) -> None:
    info = launch()
    wait_until(lambda: len(workers(info)) == 2)
    assert set(info.pids) == {"node_manager", "gcs", "redis", "forkserver"}
    names = {name: title(pid) for name, pid in info.pids.items()}
    assert names["node_manager"] == f"raynb node_manager {info.session}"
    assert names["gcs"] == f"raynb gcs {info.session}"
    assert "redis-server" in names["redis"]
    assert (info.pid, info.state_store, info.resources["CPU"]) == (info.pids["node_manager"], "redis", 2.0)


def test_a_driver_joins_and_gets_workers(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        assert (driver.joined.error, driver.joined.gcs) == ("", info.gcs)
        one, two = driver.lease(2)
        assert one.worker != two.worker
        where = driver.ask(one, "where")
        assert where["pid"] == one.pid


def test_a_worker_is_a_process_of_its_own_in_every_way(launch: Launch) -> None:
    info = launch(config=Config(worker_idle_s=1000))
    with Driver(info) as driver:
        (grant,) = driver.lease()
        where = driver.ask(grant, "where")
        assert where["parent"] == info.pid, "its exit status comes from the kernel"
        assert where["session"] == grant.pid, "what it starts ends with it"
        assert where["files"][0] == "/dev/null"
        log = f"{info.session_dir}/logs/worker-w{log_number(info, grant)}"
        assert where["files"][1:] == [f"{log}.out", f"{log}.err"]
        assert where["interrupt"], "Ctrl-C handling is Python's own"
        assert where["threads"] == "1"
        assert where["python_threads"] == 1
        log = Path(where["files"][1])
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert "is here" in log.read_text()


def log_number(info: ClusterInfo, grant: LeaseGranted) -> str:
    return title(grant.pid).split(" worker w")[1].split()[0]


def test_workers_do_not_share_a_random_state(launch: Launch) -> None:
    info = launch(num_cpus=1)
    # Later workers come from a template that has imported numpy.
    wait_until(lambda: "numpy" in Path(f"/proc/{info.pids['forkserver']}/maps").read_text())
    with Driver(info) as driver:
        drawn = []
        for _ in range(3):
            (grant,) = driver.lease()
            drawn += driver.ask(grant, "random")
            driver.send(KillWorker(grant.worker, "to get another one"))
            driver.wait_for(ProcessDied)
    assert len(set(drawn)) == 6


def test_workers_beyond_the_cores_are_started_for_work_and_leave_when_idle(launch: Launch) -> None:
    info = launch(num_cpus=6, config=Config(worker_idle_s=0.3))
    with Driver(info) as driver:
        grants = driver.lease(6)
        assert len({grant.pid for grant in grants}) == 6
        driver.send(LeaseDemand(1, {"CPU": 1.0}, 0))
        for grant in grants:
            driver.send(LeaseReturned(grant.lease))
        kept = min(6, len(os.sched_getaffinity(0)))
        wait_until(lambda: len(workers(info)) == kept, what="the others have left")
        assert driver.wait_for(ProcessDied).intended


def test_a_node_has_files_enough_for_many_workers(launch: Launch) -> None:
    with Driver(info := launch()) as driver:
        (grant,) = driver.lease()
        for pid in (info.pid, grant.pid):
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            assert soft >= min(65536, hard)


def test_why_a_demand_waits_is_answered(launch: Launch) -> None:
    with Driver(launch()) as driver:
        driver.send(LeaseDemand(1, {"GPU": 1}, 1, "train"))
        driver.send(WhyWaiting(5, 1))
        assert b"train asks for 1 GPU" in driver.wait_for(Reply).data


def test_it_is_listed_while_it_runs(launch: Launch, tmp_path: Path) -> None:
    directory = tmp_path / "registry" / "raynb" / "clusters"
    info = launch(name="mine", notebook="kernel-1")
    (entry,) = clusters(directory=directory)
    assert (entry.name, entry.notebook, entry.pid, entry.address) == ("mine", "kernel-1", info.pid, info.node_manager)
    end(info)
    assert list(directory.glob("*.json")) == []


# -- its end


@pytest.mark.parametrize("how", ["SIGTERM", "StopNode", "last driver left"])
def test_an_end_in_order_takes_two_seconds_and_leaves_nothing(launch: Launch, how: str) -> None:
    info = launch()
    with Driver(info) as driver:
        grants = driver.lease(2)
        driver.send(AllocateExtent(1, 1000))
        driver.wait_for(ExtentGranted)
        driver.push(grants[0], "hang")
        child = driver.ask(grants[1], "child")
        assert is_alive(child)
        everybody = [*living(info), child]
        began = time.monotonic()
        if how == "SIGTERM":
            os.kill(info.pid, signal.SIGTERM)
        else:
            driver.send(StopNode("raynb stop") if how == "StopNode" else LeaveNode())
        if how != "last driver left":
            died = driver.wait_for(ProcessDied, lambda message: message.kind == "node")
            assert (died.address, died.intended) == (info.node_manager, True)
        wait_until(lambda: not any(map(is_alive, everybody)), what="everybody has ended")
        assert time.monotonic() - began < END_S_MAX
        assert_gone(info)


def test_when_the_node_manager_is_killed_the_kernel_ends_all_and_the_next_start_sweeps(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        (grant,) = driver.lease()
        driver.push(grant, "hang")
        driver.send(AllocateExtent(1, 1000))
        driver.wait_for(ExtentGranted)
        end(info, signal.SIGKILL)
    wait_until(lambda: not living(info), what="the kernel has ended all")
    assert Path(info.session_dir).exists()
    assert shared_memory_of(info.session)
    launch()
    wait_until(lambda: not (Path(info.session_dir).exists() or shared_memory_of(info.session)), what="it was swept")


def test_an_embedded_cluster_ends_when_its_driver_is_killed(launch: Launch, tmp_path: Path) -> None:
    code = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
import msgspec
from raynb.runtime.adapters.launch import ClusterInfo
from tests.runtime.daemons.node_clients import Driver
info = msgspec.json.decode(sys.stdin.read(), type=ClusterInfo)
driver = Driver(info, grace_s=float(sys.argv[1]))
print("joined", flush=True)
time.sleep(60)
"""
    import msgspec

    info = launch()
    drivers = []
    for grace_s in ("0.5", "0"):
        argv = [sys.executable, "-c", code, grace_s]
        driver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        drivers.append(driver)
        assert driver.stdin is not None and driver.stdout is not None
        driver.stdin.write(msgspec.json.encode(info).decode())
        driver.stdin.close()
        assert driver.stdout.readline() == "joined\n"
        driver.stdout.close()
    drivers[1].kill()
    drivers[1].wait()
    assert is_alive(info.pid), "there is another driver"
    drivers[0].kill()
    drivers[0].wait()
    began = time.monotonic()
    wait_until(lambda: not is_alive(info.pid), what="it ended after the grace")
    assert time.monotonic() - began >= 0.4
    assert_gone(info)


def test_an_embedded_cluster_does_not_wait_for_a_starter_that_died_before_it_joined(launch: Launch) -> None:
    starter = subprocess.Popen(["sleep", "60"])
    info = launch(driver_pid=starter.pid)
    starter.kill()
    starter.wait()
    wait_until(lambda: not is_alive(info.pid), what="it ended")
    assert_gone(info)


def test_a_daemon_cluster_outlives_its_drivers(launch: Launch) -> None:
    info = launch(lifetime="daemon", driver_pid=0)
    with Driver(info) as driver:
        driver.send(LeaveNode())
    with Driver(info) as driver:
        assert driver.lease()
        driver.send(StopNode("raynb stop"))
        wait_until(lambda: not is_alive(info.pid))
    assert_gone(info)


# -- who may join


@pytest.mark.parametrize(("field", "value"), [("python_version", "3.99.0"), ("protocol", 99)])
def test_a_driver_of_another_version_is_refused_saying_both(launch: Launch, field: str, value: object) -> None:
    from raynb.runtime.adapters.transport import Transport
    from tests.runtime.core.node_world import join_message

    info = launch()
    transport = Transport(f"ipc://{info.session_dir}/p/other")
    try:
        own = {"pid": os.getpid(), "python_version": info.python_version}
        transport.send(info.node_manager, join_message("driver", "other", **{**own, field: value}))
        answers: list[Any] = wait_until(lambda: transport.receive(1.0))
        (_, joined) = answers[0]
        assert isinstance(joined, NodeJoined)
        assert str(value) in joined.error
        assert (info.python_version if field == "python_version" else "protocol 1") in joined.error
    finally:
        transport.close()


# -- what is killed


def test_a_killed_worker_is_told_with_what_had_begun_and_is_replaced(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        one, two = driver.lease(2)
        seq = driver.push(one, "hang")
        log = Path(info.session_dir) / "logs" / f"worker-w{log_number(info, one)}.out"
        wait_until(lambda: "last words" in log.read_text())
        began = time.monotonic()
        os.kill(one.pid, signal.SIGKILL)
        died = driver.wait_for(ProcessDied)
        assert time.monotonic() - began < END_S_MAX
        assert (died.address, died.kind, died.pid, died.intended) == (one.worker, "worker", one.pid, False)
        assert (died.lease, died.last_seq) == (one.lease, seq)
        assert died.reason.startswith("killed by SIGKILL")
        assert "last words" in died.reason
        again = driver.wait_for(LeaseGranted)
        assert again.worker not in (one.worker, two.worker)


def test_a_workers_own_exit_is_told_with_its_code(launch: Launch) -> None:
    with Driver(launch()) as driver:
        (grant,) = driver.lease()
        driver.push(grant, "exit")
        assert driver.wait_for(ProcessDied).reason.startswith("exit code 3")


def test_what_a_task_started_ends_with_its_worker(launch: Launch) -> None:
    with Driver(launch()) as driver:
        (grant,) = driver.lease()
        child = driver.ask(grant, "child")
        os.kill(grant.pid, signal.SIGKILL)
        driver.wait_for(ProcessDied)
        wait_until(lambda: not is_alive(child))


def test_a_dead_drivers_tasks_do_not_run_on(launch: Launch) -> None:
    info = launch()
    with Driver(info) as stays:
        stays.lease()
        with Driver(info) as goes:
            (grant,) = goes.lease()
            goes.push(grant, "hang")
            goes.send(LeaveNode())
            died = stays.wait_for(ProcessDied, lambda message: message.kind == "worker")
            assert (died.address, died.intended) == (grant.worker, True)


def test_a_stopped_worker_gets_no_task_and_another_takes_its_place(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        (grant,) = driver.lease()
        driver.give_back(grant)
        worker = Process(grant.pid, is_child=False)
        stop_process(worker.pid)
        try:
            # It is seen within a second; until then it may still be given away.
            def others() -> bool:
                grants = driver.lease(2)
                for each in grants:
                    driver.give_back(each)
                return grant.worker not in {each.worker for each in grants}

            wait_until(others, what="it is not given away")
        finally:
            worker.signal(signal.SIGCONT)
            worker.close()


def test_killing_the_forkserver_spares_the_workers_and_another_starts(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        one, two = driver.lease(2)
        os.kill(info.pids["forkserver"], signal.SIGKILL)
        wait_until(lambda: pid_of(info, "forkserver") not in (0, info.pids["forkserver"]), what="another started")
        assert driver.ask(one, "where")["pid"] == one.pid
        os.kill(two.pid, signal.SIGKILL)
        driver.wait_for(ProcessDied)
        assert driver.ask(driver.wait_for(LeaseGranted), "where")["parent"] == info.pid


def test_a_stopped_forkserver_delays_new_workers_and_harms_nobody(launch: Launch) -> None:
    info = launch()
    forkserver = Process(info.pids["forkserver"], is_child=False)
    with Driver(info) as driver:
        one, two = driver.lease(2)
        stop_process(forkserver.pid)
        try:
            os.kill(two.pid, signal.SIGKILL)
            driver.wait_for(ProcessDied)
            assert driver.ask(one, "where")["pid"] == one.pid
        finally:
            forkserver.signal(signal.SIGCONT)
            forkserver.close()
        assert driver.wait_for(LeaseGranted).worker != two.worker


def test_killing_the_gcs_disturbs_no_lease_and_it_comes_back_with_its_state(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        driver.put(b"key", b"value")
        (one,) = driver.lease()
        os.kill(info.pids["gcs"], signal.SIGKILL)
        assert driver.ask(one, "where")["pid"] == one.pid
        driver.send(LeaseDemand(1, {"CPU": 1.0}, 2))
        assert driver.wait_for(LeaseGranted).worker != one.worker, "new leases need no GCS"
        wait_until(lambda: pid_of(info, "gcs") not in (0, info.pids["gcs"]), what="another started")
        assert driver.get(b"key") == b"value"
        (node,) = driver.query("nodes")
        assert node["state"] == "ALIVE"
        found = wait_until(lambda: {row["pid"] for row in driver.query("workers") if row["is_alive"]})
        assert one.pid in found


def test_killing_redis_loses_nothing_that_was_acknowledged(launch: Launch) -> None:
    info = launch()
    with Driver(info) as driver:
        driver.put(b"key", b"value")
        os.kill(info.pids["redis"], signal.SIGKILL)
        wait_until(lambda: pid_of(info, "redis") not in (0, info.pids["redis"]), what="another started")
        driver.put(b"other", b"value")
        assert driver.get(b"key") == b"value"
        os.kill(pid_of(info, "gcs"), signal.SIGKILL)
        assert driver.get(b"other") == b"value"
        assert is_alive(info.pid)


# -- what can't start


def test_a_worker_main_that_can_not_be_imported_is_said_at_the_start(launch: Launch) -> None:
    with pytest.raises(ClusterLaunchError, match=r"forkserver ended[\s\S]*ModuleNotFoundError[\s\S]*no_such_module"):
        launch(worker_main="no_such_module:run")


def test_workers_that_break_as_soon_as_they_join_are_said_and_not_started_without_end(launch: Launch) -> None:
    info = launch(num_cpus=1, worker_main="tests.runtime.daemons.stand_in_worker:fail")
    with Driver(info) as driver:
        driver.send(LeaseDemand(1, {"CPU": 1.0}, 1, "train"))
        told = driver.wait_for(LeaseInfeasible)
        assert "train waits for a worker process" in told.message and "exit code 1" in told.message
    logs = list((Path(info.session_dir) / "logs").glob("worker-*.err"))
    assert "a library does not load" in logs[0].read_text()
    assert len(logs) < 20


def test_a_redis_that_is_not_there_is_said_at_the_start_without_its_password(launch: Launch) -> None:
    with pytest.raises(ClusterLaunchError) as caught:
        launch(redis="nonsense://:sesame@127.0.0.1:1/0")
    assert "sesame" not in str(caught.value)
    assert "GCS ended" in str(caught.value)


def test_a_place_for_sessions_that_can_not_be_is_said_at_the_start(launch: Launch) -> None:
    with pytest.raises(ClusterLaunchError, match="/proc/nowhere"):
        launch(temp_dir="/proc/nowhere")


def test_no_secret_stands_in_an_argument_list_or_the_environment(launch: Launch) -> None:
    info = launch()
    password = (Path(info.session_dir) / "redis" / "password").read_bytes()
    for pid in living(info):
        for name in ("cmdline", "environ"):
            assert password not in Path(f"/proc/{pid}/{name}").read_bytes()
