"""`init` and `shutdown`: what they give, what they refuse, what they leave behind."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from raynb._private import state
from raynb._private.worker import global_worker
from raynb.exceptions import RaySystemError
from tests.support import module
from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

KEYS = ("node_ip_address", "redis_address", "object_store_address", "raylet_socket_name", "session_dir", "webui_url")


@pytest.fixture
def ray(bare_ray: Ray) -> Iterator[Ray]:
    """Not connected yet, and not any more afterwards."""
    assert not bare_ray.is_initialized()
    yield bare_ray
    bare_ray.shutdown()


def test_init_gives_a_mapping_with_the_places_of_the_cluster(ray: Ray) -> None:
    with cluster_of(ray, num_cpus=1) as context:
        for key in KEYS:
            assert key in context.address_info
        assert Path(context["session_dir"]).is_dir()
        assert context["node_ip_address"]
        assert context["raylet_socket_name"]


def test_a_program_knows_whether_it_is_connected(ray: Ray) -> None:
    assert ray.is_initialized() is False
    with cluster_of(ray, num_cpus=1):
        assert ray.is_initialized() is True
    assert ray.is_initialized() is False


def test_a_second_init_is_refused_unless_that_is_asked_for(ray: Ray) -> None:
    with cluster_of(ray, num_cpus=1) as context:
        with pytest.raises(RuntimeError, match=r"twice|already"):
            ray.init(num_cpus=1)
        again = ray.init(ignore_reinit_error=True)
        assert again["session_dir"] == context["session_dir"]
        assert ray.get(ray.remote(lambda: 1).remote()) == 1


def test_a_cluster_can_be_started_again_after_a_shutdown(ray: Ray) -> None:
    task = ray.remote(lambda x: x + 1)

    class State:
        def get(self) -> str:
            return "state"

    actor_class = ray.remote(State)
    for number in range(2):
        with cluster_of(ray, num_cpus=1):
            assert ray.get(task.remote(number)) == number + 1
            assert ray.get(actor_class.remote().get.remote()) == "state"


def test_a_future_fails_when_the_cluster_is_shut_down_before_its_value_is_there(ray: Ray, raynb_only: None) -> None:
    for _ in range(5):  # what is on its way when the client stops must not stop it half-way
        with cluster_of(ray, num_cpus=1):
            quick = [ray.remote(lambda: 1).remote().future() for _ in range(100)]
            never = ray.remote(lambda: time.sleep(60)).remote().future()
        for future in quick:
            assert future.exception(0) is None or isinstance(future.exception(0), ray.exceptions.RaySystemError)
        with pytest.raises(ray.exceptions.RaySystemError, match="shut down"):
            never.result(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_cluster_ends_though_an_error_in_raynb_has_ended_the_connection(
    ray: Ray, raynb_only: None, caplog: pytest.LogCaptureFixture
) -> None:
    from raynb.runtime.api import session

    with cluster_of(ray, num_cpus=1):

        def fail() -> None:
            raise AssertionError("an error in raynb")

        host = session.connect().host
        host.call(fail)
        wait_until(lambda: not host.alive, what="the connection's end")
    assert "an error in raynb" in caplog.text


def test_shutdown_without_a_cluster_is_harmless(ray: Ray) -> None:
    ray.shutdown()
    ray.shutdown()
    assert ray.is_initialized() is False


def test_the_cluster_has_what_init_says(ray: Ray) -> None:
    with cluster_of(ray, num_cpus=3, resources={"disk": 5}, object_store_memory=2e8):
        total = ray.cluster_resources()
        assert (total["CPU"], total["disk"]) == (3, 5)
        assert total["object_store_memory"] == pytest.approx(200_000_000, rel=0.1)


def test_a_context_of_init_ends_the_cluster(ray: Ray) -> None:
    with ray.init(num_cpus=1, include_dashboard=False):
        assert ray.is_initialized()
    assert not ray.is_initialized()


def test_an_anonymous_namespace_is_not_shared(ray: Ray) -> None:
    with cluster_of(ray, num_cpus=1):
        assert len(ray.get_runtime_context().namespace) > 10


def test_a_cluster_is_not_started_inside_of_a_task(ray: Ray) -> None:
    with cluster_of(ray, num_cpus=1) as context:
        here = ray.remote(lambda: ray.init(ignore_reinit_error=True).address_info["gcs_address"])
        assert ray.get(here.remote(), timeout=60) == context.address_info["gcs_address"]
        with pytest.raises(RuntimeError, match="twice"):
            ray.get(ray.remote(lambda: ray.init()).remote(), timeout=60)


def joined(tmp_path: Path, program: str, *args: str) -> str:
    """What a driver prints that joins a cluster."""
    program = f"import sys, {module.NAME} as ray\n{program}"
    command = [sys.executable, "-c", program, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_driver_that_joins_has_a_namespace_of_its_own(ray: Ray, tmp_path: Path) -> None:
    program = """
ray.init(sys.argv[1])
class Pinger:
    def ping(self): return ray.get_runtime_context().namespace
pinger = ray.remote(num_cpus=0)(Pinger).options(name="Pinger", lifetime="detached").remote()
print(ray.get(pinger.ping.remote()))
"""
    with cluster_of(ray, num_cpus=1, namespace="named") as context:
        found = {joined(tmp_path, program, context.address_info["address"]) for _ in range(2)}
        assert len(found - {"named\n"}) == 2, found


def test_a_jobs_actors_outlive_it_where_it_says_so_and_its_tasks_import_from_where_it_says(
    ray: Ray, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "found_elsewhere.py").write_text("VALUE = 7\n")
    program = f"""
from {module.NAME}.job_config import JobConfig
ray.init(sys.argv[1], namespace="job", job_config=JobConfig(
    default_actor_lifetime="detached", code_search_path=[sys.argv[2]]))
class Named:
    def value(self):
        import found_elsewhere
        return found_elsewhere.VALUE
for name, options in (("stays", {{}}), ("goes", {{"lifetime": "non_detached"}})):
    actor = ray.remote(num_cpus=0)(Named).options(name=name, **options).remote()
    print(ray.get(actor.value.remote()))
"""
    with cluster_of(ray, num_cpus=1, namespace="job") as context:
        assert joined(tmp_path, program, context.address_info["address"], str(tmp_path / "more")) == "7\n7\n"

        def gone() -> bool:
            with suppress(ValueError):
                ray.get_actor("goes")
                return False
            return True

        wait_until(gone, 20)
        assert ray.get(ray.get_actor("stays").value.remote(), timeout=30) == 7
        ray.kill(ray.get_actor("stays"))


def test_a_folder_for_sessions_is_made_and_must_be_absolute(ray: Ray, raynb_only: None) -> None:
    with tempfile.TemporaryDirectory() as short:  # sockets have short paths
        new = Path(short) / "new"
        with cluster_of(ray, num_cpus=1, _temp_dir=str(new)) as context:
            assert Path(context["session_dir"]).is_relative_to(new)
    with pytest.raises(ValueError, match="absolute path"):
        ray.init(_temp_dir="relative")


def test_a_node_has_the_name_that_it_is_given(ray: Ray) -> None:
    with cluster_of(ray, num_cpus=1, _node_name="mine"):
        (node,) = ray.nodes()
        assert node["NodeName"] == "mine"
        assert node["Labels"]["ray.io/node-id"] == node["NodeID"]
    with cluster_of(ray, num_cpus=1):
        assert ray.nodes()[0]["NodeName"] == ray.nodes()[0]["NodeManagerAddress"]


@pytest.mark.parametrize("name", ["nodes", "cluster_resources", "available_resources", "timeline"])
def test_what_tells_of_the_cluster_starts_none(ray: Ray, name: str) -> None:
    with pytest.raises((ray.exceptions.RaySystemError, RuntimeError), match=r"not been started|init"):
        getattr(ray, name)()
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    "options",
    [
        {"num_cpus": -1},
        {"no_such_option": 1},
        {"_no_such_option": 1},
        {"num_cpus": 1.5},
        {"num_gpus": 0.5},
        {"resources": {"whole": 1, "part": 2.5}},
        {"resources": {"too_much": 10**20}},
        {"resources": {"CPU": 1}},
        {"object_store_memory": 1},
        {"runtime_env": "env"},
    ],
    ids=repr,
)
def test_options_that_make_no_sense_are_refused(ray: Ray, options: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError, AssertionError)):
        ray.init(**options)
    assert not ray.is_initialized()


@pytest.mark.usefixtures("raynb_only")
def test_what_a_node_offers_are_whole_numbers(ray: Ray) -> None:
    with pytest.raises(ValueError, match=r"must all be whole numbers, but part is 2\.5"):
        ray.init(resources={"whole": 1, "part": 2.5})
    with pytest.raises(ValueError, match="must be at most 100000000000000, but num_gpus is"):
        ray.init(num_gpus=10**20)
    with cluster_of(ray, num_cpus=1.0, resources={"whole": 2.0}):
        assert ray.cluster_resources()["whole"] == 2


@pytest.mark.parametrize(
    ("named", "options"),
    [
        ("job_config", {"job_config": 5}),
        ("labels", {"labels": {"zone": 1}}),
        ("object_store_memory", {"object_store_memory": "1 GB"}),
        ("node_name", {"_node_name": 5}),
        ("_system_config", {"_system_config": [1]}),
        ("_metrics_export_port", {"_metrics_export_port": -1}),
    ],
    ids=repr,
)
def test_what_init_is_told_of_a_wrong_type_is_named(
    ray: Ray, raynb_only: None, named: str, options: dict[str, object]
) -> None:
    with pytest.raises((ValueError, TypeError), match=named):
        ray.init(**options)
    assert not ray.is_initialized()


@pytest.mark.parametrize("options", [{"metadata": 5}, {"metadata": {"a": 1}}, {"ray_namespace": 5}], ids=repr)
def test_what_a_job_is_told_of_a_wrong_type_is_named(ray: Ray, raynb_only: None, options: dict[str, object]) -> None:
    job_config = importlib.import_module(f"{module.NAME}.job_config")
    with pytest.raises(TypeError, match=r"metadata|namespace"):
        job_config.JobConfig(**options)


@pytest.mark.parametrize("name", ["CPU", "GPU", "memory", "object_store_memory"])
def test_amounts_with_a_keyword_of_their_own_are_no_custom_resources(ray: Ray, name: str) -> None:
    with pytest.raises(AssertionError, match=f"`{name}` cannot be a custom resource"):
        ray.init(resources={name: 1})
    assert not ray.is_initialized()


def test_a_cluster_that_is_not_there_is_a_connection_error(ray: Ray) -> None:
    with pytest.raises(ConnectionError):
        ray.init(address="auto")
    assert not ray.is_initialized()


@pytest.mark.parametrize("skips", [False, True])
def test_the_environment_s_hook_may_be_skipped(
    ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skips: bool
) -> None:
    (tmp_path / "of_the_site.py").write_text("def hook(env): return {'env_vars': {'OF_THE_SITE': 'yes'}}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RAY_RUNTIME_ENV_HOOK", "of_the_site.hook")
    ray.init(num_cpus=1, _skip_env_hook=skips)
    assert ray.get(ray.remote(os.getenv).remote("OF_THE_SITE")) == (None if skips else "yes")


def test_no_cluster_is_started_by_itself_where_the_environment_says_so(
    ray: Ray, monkeypatch: pytest.MonkeyPatch, raynb_only: None
) -> None:
    monkeypatch.setenv("RAY_ENABLE_AUTO_CONNECT", "0")
    wrong: Any = None
    calls: list[Callable[[], Any]] = [
        lambda: ray.put(1), lambda: ray.wait([]), lambda: ray.cancel(wrong), lambda: ray.kill(wrong),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(RaySystemError, match=r"ray\.init"):
            call()
    assert not ray.is_initialized()


def test_the_state_of_no_cluster_is_an_error_that_says_how_to_start_one(ray: Ray, raynb_only: None) -> None:
    for ask in (state.actors, state.jobs, state.workers, global_worker.check_connected):
        with pytest.raises(RaySystemError, match=r"ray\.init"):
            ask()


@pytest.mark.parametrize(
    "call",
    [
        "get_actor('name')",
        "nodes()",
        "cluster_resources()",
        "available_resources()",
    ],
)
def test_what_needs_a_cluster_says_so_or_starts_one(tmp_path: Path, call: str) -> None:
    program = f"""\
import {module.NAME} as ray
try:
    ray.{call}
except Exception as error:
    print(type(error).__name__)
else:
    print("started")
ray.shutdown()
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] in ("RaySystemError", "RuntimeError", "ConnectionError", "ValueError", "started")


def test_the_first_task_starts_a_cluster_where_init_was_not_called(tmp_path: Path) -> None:
    program = f"""\
import {module.NAME} as ray

@ray.remote
def double(x):
    return 2 * x

assert not ray.is_initialized()
print("result", ray.get(double.remote(21)))
assert ray.is_initialized()
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "result 42" in done.stdout


def seen(name: str) -> str | None:
    return os.environ.get(name)


def test_a_variable_may_say_what_a_job_is(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where drivers are started for others."""
    given = {"runtime_env": {"env_vars": {"GIVEN": "1"}}, "metadata": {"by": "the starter"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(given))
    with pytest.raises(ValueError, match="conflict"):
        ray.init(num_cpus=1, runtime_env={"env_vars": {"GIVEN": "2"}})
    assert not ray.is_initialized()
    with cluster_of(ray, num_cpus=1, runtime_env={"env_vars": {"OWN": "2"}}):
        task = ray.remote(seen)
        assert ray.get([task.remote("GIVEN"), task.remote("OWN")], timeout=60) == ["1", "2"]
    monkeypatch.setenv("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    with cluster_of(ray, num_cpus=1, runtime_env={"env_vars": {"GIVEN": "2"}}):
        assert ray.get(ray.remote(seen).remote("GIVEN"), timeout=60) == "2"


@pytest.mark.usefixtures("raynb_only")
def test_what_is_no_job_is_refused_with_the_variable_s_name(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{no JSON")
    with pytest.raises(ValueError, match="RAY_JOB_CONFIG_JSON_ENV_VAR is no job's configuration"):
        ray.init(num_cpus=1)
    assert not ray.is_initialized()


@pytest.mark.usefixtures("raynb_only")
def test_who_asks_for_what_raynb_has_not_is_told(ray: Ray, caplog: pytest.LogCaptureFixture) -> None:
    def said() -> list[str]:
        told = [record.getMessage() for record in caplog.records if "no effect" in record.msg]
        caplog.clear()
        return told

    with cluster_of(ray, num_cpus=1, include_dashboard=True, dashboard_port=8265, _plasma_directory="/tmp"):
        told = said()
    assert [line.partition("=")[0] for line in told] == [
        "raynb: init(_plasma_directory", "raynb: init(dashboard_port", "raynb: init(include_dashboard",
    ]  # fmt: skip
    assert told[2].startswith("raynb: init(include_dashboard=True) has no effect: raynb has no dashboard")
    with cluster_of(ray, num_cpus=1, include_dashboard=False, dashboard_host="127.0.0.1", dashboard_port=None):
        assert said() == []
    with cluster_of(ray, num_cpus=1, include_dashboard=True, logging_level="error"):
        assert said() == []
