"""Programs that were written for Ray: run under its name, and told by name what is not there."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import raynb
from raynb import own_workings
from raynb.as_ray import SHIMS
from raynb.differences import ABSENT, DIFFERENCES, REFUSED
from tests.support import compatibility

PROGRAM = """
import sys
import ray
import ray.util.queue
from ray.exceptions import GetTimeoutError
from ray.util import ActorPool

ray.init(num_cpus=1)

@ray.remote
def there(x):
    import ray
    from ray.util.queue import Queue
    from helper import NAME
    return x, ray.__name__, Queue.__name__, NAME

print(ray.get(there.remote(1)), sys.argv[1:], ray.util.queue.Queue.__module__)
ray.shutdown()
"""


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(cwd)}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "helper.py").write_text("import ray\nNAME = ray.get.__name__\n")
    (tmp_path / "ray").mkdir()  # a folder of that name must not pass for Ray
    return tmp_path


def test_a_program_that_imports_ray_runs_on_raynb_and_so_do_its_workers(folder: Path) -> None:
    done = run("-m", "raynb.as_ray", "program.py", "one", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(1, 'raynb', 'Queue', 'get') ['one', 'two'] raynb.util.queue\n"


def test_a_module_runs_as_well(folder: Path) -> None:
    done = run("-m", "raynb.as_ray", "-m", "program", "one", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "['one']" in done.stdout


def test_a_program_can_ask_for_it_itself(folder: Path) -> None:
    (folder / "own.py").write_text(f"import raynb\nraynb.install_as_ray()\nraynb.install_as_ray()\n{PROGRAM}")
    done = run("own.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "'raynb'" in done.stdout


CHILDREN = """
import os, subprocess, sys
import ray

child = "import ray.util; import ray; print(ray.__name__, ray.util.__name__)"
print(subprocess.check_output([sys.executable, "-c", child], text=True).strip())
print(subprocess.check_output(["ray", "--version"], text=True).strip())
started = subprocess.check_output("ray start --head --num-cpus=1 --port 0".split(), text=True)
address = started.split("--address='")[1].split("'")[0]
try:
    ray.init(address=address, log_to_driver=False)
    print(ray.cluster_resources()["CPU"])
    ray.shutdown()
finally:
    print(subprocess.check_output(["ray", "stop"], text=True).split(":")[0].replace(address, "ours"))
print(subprocess.check_output(["ray", "stop"], text=True).strip())
"""


def test_its_child_processes_find_ray_and_its_command(folder: Path) -> None:
    (folder / "children.py").write_text(CHILDREN)
    done = run("-m", "raynb.as_ray", "children.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "raynb raynb.util",
        f"raynb {raynb.__version__}",
        "1.0",
        "Stopped cluster 'ours'",
        "No cluster is running.",
    ]


def test_a_cluster_of_another_driver_is_not_stopped_by_rays_command(folder: Path) -> None:
    (folder / "own.py").write_text(
        "import ray, subprocess\nray.init(num_cpus=1)\nsubprocess.check_call(['ray', 'stop'])\n"
        "print(ray.get(ray.put(1)), ray.is_initialized(), ray.cluster_resources()['CPU'])"
    )
    done = run("-m", "raynb.as_ray", "own.py", cwd=folder)
    assert done.stdout.splitlines() == ["No cluster is running.", "1 True 1.0"], done.stderr


def test_what_programs_log_under_rays_name_counts_from_rays_levels_on(folder: Path) -> None:
    (folder / "logs.py").write_text(
        "import logging, raynb\nlogging.getLogger('ray.tune').setLevel('ERROR')\nraynb.install_as_ray()\n"
        "print([logging.getLogger(n).getEffectiveLevel() for n in ('ray.data', 'ray.rllib', 'ray.tune', 'other')])\n"
    )
    assert run("logs.py", cwd=folder).stdout == "[20, 30, 40, 30]\n"


def test_where_ray_is_installed_it_is_refused(folder: Path) -> None:
    (folder / "ray" / "__init__.py").write_text("")
    done = run("-c", "import raynb; raynb.install_as_ray()", cwd=folder)
    assert "Ray itself is installed here" in done.stderr


def test_after_init_it_is_refused(folder: Path) -> None:
    done = run("-c", "import raynb; raynb.init(num_cpus=1); raynb.install_as_ray()", cwd=folder)
    assert "call install_as_ray() before init()" in done.stderr


STARTS = """
import multiprocessing
import subprocess
import sys
import ray

@ray.remote
def name():
    return ray.__name__

def double(x):
    return ray.__name__, 2 * x

if __name__ == "__main__":
    ray.init(num_cpus=1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [1, 2]))
    script = "from ray.util import ActorPool; import ray; print(ray.__name__, ActorPool.__module__)"
    print(subprocess.check_output([sys.executable, "-c", script], text=True).strip())
    print(ray.get(name.remote()))
"""


def test_what_a_program_starts_finds_raynb_as_ray_too(folder: Path) -> None:
    (folder / "starts.py").write_text(STARTS)
    done = run("-m", "raynb.as_ray", "starts.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "[('raynb', 2), ('raynb', 4)]"
    assert second == "raynb raynb.util.actor_pool"
    assert third == "raynb"


def test_a_python_without_raynb_keeps_its_own_ray(folder: Path) -> None:
    (folder / "ray" / "__init__.py").write_text("HERE = True\n")
    environment = {"PYTHONPATH": os.pathsep.join([str(SHIMS), str(folder)])}
    command = [sys.executable, "-S", "-c", "import ray; print(ray.HERE)"]  # it does not see what is installed
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True\n", done.stderr


def test_without_a_program_it_says_how_it_is_used(folder: Path) -> None:
    assert "usage" in run("-m", "raynb.as_ray", cwd=folder).stderr


def test_under_rays_name_missing_modules_are_told_by_name(folder: Path) -> None:
    code = (
        "import raynb; raynb.install_as_ray()\n"
        "for name in ('ray.serve', 'ray._private.nothing'):\n"
        "    try: __import__(name)\n"
        "    except ImportError as error: print(error)\n"
    )
    serve, private = run("-c", code, cwd=folder).stdout.splitlines()
    assert "raynb has no ray.serve" in serve
    assert "no module named 'ray._private.nothing'" in private


@pytest.mark.parametrize("name", REFUSED)
def test_what_raynb_does_not_have_is_refused_by_name(name: str) -> None:
    module, _, attribute = f"raynb.{name}".rpartition(".")
    with pytest.raises(AttributeError, match=f"raynb has no ray.{name}: "):
        getattr(importlib.import_module(module), attribute)
    with pytest.raises(ImportError, match=f"raynb has no ray.{name}: "):
        importlib.import_module(f"raynb.{name}")
    with pytest.raises(ImportError, match=f"raynb has no ray.{name}: "):
        exec(f"from {module} import {attribute}")


@pytest.mark.parametrize("name", ABSENT)
def test_modules_of_ray_s_own_workings_are_imported_and_refused_when_they_are_used(name: str) -> None:
    module: Any = importlib.import_module(f"raynb.{name}")
    below: Any = importlib.import_module(f"raynb.{name}.deep.down")
    for thing, path in ((module.Something, name), (below.Something, f"{name}.deep.down")):
        words = re.escape(f"raynb has no ray.{path}.Something: {ABSENT[name]}")
        with pytest.raises(NotImplementedError, match=words):
            thing(1, two=2)
        with pytest.raises(AttributeError, match=words):
            _ = thing.of_it
        assert not isinstance(1, thing)
    assert not compatibility.found(name)


@pytest.mark.parametrize("module", sorted(own_workings.NAMES))
def test_names_of_ray_s_own_workings_are_found_and_refused_when_they_are_used(module: str) -> None:
    found = importlib.import_module(f"raynb.{module}")
    for name in own_workings.NAMES[module]:
        assert name not in vars(found), "it is there"
        with pytest.raises(NotImplementedError, match=rf"ray\.{module}\.{name}"):
            getattr(found, name)()


def test_a_program_may_name_what_is_absent_before_it_uses_it(folder: Path) -> None:
    code = (
        "import raynb; raynb.install_as_ray()\n"
        "import ray.util.client.server.server as server\n"
        "from ray.core.generated import common_pb2, gcs_pb2\n"
        "from ray.util.client.ray_client_helpers import connect_to_client_or_not\n"
        "from ray._raylet import GlobalStateAccessor\n"
        "class Plugin(GlobalStateAccessor): pass\n"
        "def f(client: GlobalStateAccessor | None = None): return isinstance(client, GlobalStateAccessor)\n"
        "with connect_to_client_or_not(False): print(f(), gcs_pb2.ActorTableData.ALIVE.name,\n"
        "    common_pb2.TaskType.Name(2), common_pb2.TaskStatus.RUNNING + 0)\n"
        "for use in (Plugin, server.init_and_serve, lambda: common_pb2.TaskInfoEntry.name,\n"
        "            lambda: connect_to_client_or_not(True).__enter__()):\n"
        "    try: use()\n"
        "    except (AttributeError, NotImplementedError, RuntimeError) as error: print(error)\n"
    )
    done = run("-c", code, cwd=folder)
    assert done.stdout.splitlines()[0] == "False ALIVE ACTOR_TASK 8", done.stderr
    told = done.stdout.splitlines()[1:]
    assert [words.split(":")[0] for words in told] == [
        "raynb has no ray._raylet.GlobalStateAccessor",
        "raynb has no ray.util.client.server.server.init_and_serve",
        "raynb has no ray.core.generated.common_pb2.TaskInfoEntry",
        "raynb has no client mode",
    ]


def test_what_nobody_knows_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = raynb.nonsense  # pyright: ignore
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'raynb\.nonsense'"):
        importlib.import_module("raynb.nonsense")


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_is_said_to_be_different_is_there(name: str) -> None:
    assert compatibility.found(name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_said_to_be_refused_is_not_there(name: str) -> None:
    assert not compatibility.found(name)


def test_the_page_about_compatibility_says_what_the_code_does() -> None:
    assert compatibility.PAGE.read_text() == compatibility.page(), "python -m tests.support.compatibility"


def test_a_module_that_is_absent_goes_along_with_a_function() -> None:
    """Pickling takes modules along that are called as an attribute that a function uses."""
    absent = importlib.import_module("raynb.core.generated")
    assert cloudpickle.loads(cloudpickle.dumps(absent)) is absent
