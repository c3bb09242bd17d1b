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


def test_a_program_may_name_what_is_absent_before_it_uses_it(folder: Path) -> None:
    code = (
        "import raynb; raynb.install_as_ray()\n"
        "import ray.util.client.server.server as server\n"
        "from ray.core.generated import common_pb2, gcs_pb2\n"
        "from ray.util.client.ray_client_helpers import connect_to_client_or_not\n"
        "from ray._raylet import GlobalStateAccessor\n"
        "class Plugin(GlobalStateAccessor): pass\n"
        "def f(client: GlobalStateAccessor | None = None): return isinstance(client, GlobalStateAccessor)\n"
        "with connect_to_client_or_not(False): print(f(), gcs_pb2.ActorTableData.ALIVE.name)\n"
        "for use in (Plugin, server.init_and_serve, lambda: common_pb2.TaskType.NORMAL_TASK,\n"
        "            lambda: connect_to_client_or_not(True).__enter__()):\n"
        "    try: use()\n"
        "    except (AttributeError, NotImplementedError, RuntimeError) as error: print(error)\n"
    )
    done = run("-c", code, cwd=folder)
    assert done.stdout.splitlines()[0] == "False ALIVE", done.stderr
    told = done.stdout.splitlines()[1:]
    assert [words.split(":")[0] for words in told] == [
        "raynb has no ray._raylet.GlobalStateAccessor",
        "raynb has no ray.util.client.server.server.init_and_serve",
        "raynb has no ray.core.generated.common_pb2",
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
