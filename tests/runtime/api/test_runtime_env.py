"""``runtime_env``: what a job, a task or an actor finds - variables, folders, packages, a hook."""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import module
from tests.support.cluster import cluster_of
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The job's working directory, with a module and a file."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "in_the_project.py").write_text("WHERE = 'working_dir'\n")
    (folder / "data.txt").write_text("seven")
    (folder / "secret.txt").write_text("not for others")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "stale.pyc").write_text("old")
    return folder


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    env = {
        "env_vars": {"OF_THE_JOB": "yes", "OF_BOTH": "job"},
        "working_dir": str(folder),
        "excludes": ["secret*"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with cluster_of(bare_ray, namespace="spec", runtime_env=env) as context:
            yield context


def variables(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


@pytest.fixture
def look(ray: Ray) -> Callable[..., Any]:
    """Read variables in a task with this runtime_env."""

    def look(env: Any, *names: str) -> list[str | None]:
        found: list[str | None] = ray.get(ray.remote(variables).options(runtime_env=env).remote(*names))
        return found

    return look


# -- variables, and who inherits them


def test_every_task_of_the_job_finds_its_variables(look: Any) -> None:
    assert look(None, "OF_THE_JOB", "OF_BOTH") == ["yes", "job"]
    assert look({}, "OF_THE_JOB", "OF_BOTH") == ["yes", "job"]
    assert os.environ.get("OF_THE_JOB") is None


def test_a_tasks_own_variables_are_added_and_win(look: Any) -> None:
    env = {"env_vars": {"OF_BOTH": "task", "OF_THE_TASK": "yes"}}
    assert look(env, "OF_THE_JOB", "OF_BOTH", "OF_THE_TASK") == ["yes", "task", "yes"]


def test_a_task_without_them_does_not_find_those_of_another(look: Any) -> None:
    for _ in range(3):
        assert look({"env_vars": {"OF_ONE_TASK": "yes"}}, "OF_ONE_TASK") == ["yes"]
        assert look(None, "OF_ONE_TASK") == [None]


def test_a_value_can_refer_to_what_the_worker_has(look: Any) -> None:
    env = {"env_vars": {"PATH": "/somewhere:${PATH}", "NOTHING": "a${NO_SUCH_VARIABLE}b"}}
    path, nothing = look(env, "PATH", "NOTHING")
    assert path.startswith("/somewhere:/")
    assert nothing == "ab"


def test_children_inherit_what_their_parent_runs_in(ray: Ray) -> None:
    def parent() -> Any:
        child = ray.remote(variables)
        own = {"env_vars": {"OF_BOTH": "child"}}
        names = ("OF_THE_JOB", "OF_BOTH", "OF_THE_PARENT")
        return ray.get([child.remote(*names), child.options(runtime_env=own).remote(*names)])

    env = {"env_vars": {"OF_THE_PARENT": "yes", "OF_BOTH": "parent"}}
    found = ray.get(ray.remote(parent).options(runtime_env=env).remote())
    assert found == [["yes", "parent", "yes"], ["yes", "child", "yes"]]


def test_an_actor_and_its_tasks_run_in_the_actors(ray: Ray) -> None:
    class Actor:
        def __init__(self) -> None:
            self.then = variables("OF_THE_ACTOR")

        def look(self) -> Any:
            return self.then, variables("OF_THE_ACTOR"), ray.get(ray.remote(variables).remote("OF_THE_ACTOR"))

    actor = ray.remote(Actor).options(runtime_env={"env_vars": {"OF_THE_ACTOR": "yes"}}).remote()
    assert ray.get(actor.look.remote()) == (["yes"], ["yes"], ["yes"])


def test_the_context_tells_what_the_caller_runs_in(ray: Ray) -> None:
    def told() -> Any:
        context = ray.get_runtime_context()
        return context.runtime_env["env_vars"], context.get_runtime_env_string()

    found, text = ray.get(ray.remote(told).options(runtime_env={"env_vars": {"A": "1"}}).remote())
    assert found == {"A": "1", "OF_BOTH": "job", "OF_THE_JOB": "yes"}
    assert '"A"' in text
    assert ray.get_runtime_context().runtime_env["env_vars"] == {"OF_BOTH": "job", "OF_THE_JOB": "yes"}


# -- folders


def test_it_is_said_once_that_a_folder_is_copied(
    ray: Ray, tmp_path: Path, capsys: pytest.CaptureFixture[str], raynb_only: None
) -> None:
    (tmp_path / "data.txt").write_text("x" * 2048)
    name = ray.remote(lambda: os.path.basename(os.getcwd())).options(runtime_env={"working_dir": str(tmp_path)})
    package = ray.get(name.remote())
    assert ray.get(name.remote()) == package
    said = capsys.readouterr().err
    assert f"Pushing file package {package!r} (2.0 kB)" in said
    assert said.count(f"Successfully pushed file package {package!r}") == 1


def test_tasks_run_in_a_copy_of_the_working_directory(ray: Ray, folder: Path) -> None:
    def look() -> Any:
        import in_the_project  # pyright: ignore  # it is in the working directory

        return in_the_project.WHERE, open("data.txt").read(), os.getcwd(), sorted(set(os.listdir()) - {"__pycache__"})

    where, data, here, files = ray.get(ray.remote(look).remote())
    assert (where, data) == ("working_dir", "seven")
    assert here != str(folder)
    assert files[:2] == ["data.txt", "in_the_project.py"] and "secret.txt" not in files


def test_what_git_ignores_is_not_copied(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        ".gitignore": "*.log\n/build/\n!kept.log\n",
        ".rayignore": "large\n",
        "main.py": "",
        "run.log": "",
        "kept.log": "",
        "large": "",
        "build/made": "",
        "deep/build/source": "",
        "deep/.gitignore": "!deep.log\n*.tmp\n",
        "deep/deep.log": "",
        "deep/x.tmp": "",
        "x.tmp": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def listed() -> set[str]:
        return {os.path.relpath(os.path.join(at, name)) for at, _, names in os.walk(".") for name in names}

    def copied(**more: Any) -> set[str]:
        env = {"working_dir": str(tmp_path), **more}
        found: set[str] = ray.get(ray.remote(listed).options(runtime_env=env).remote())
        return {name for name in found if not os.path.basename(name).startswith(".") and "__pycache__" not in name}

    kept = {"main.py", "kept.log", "deep/build/source", "deep/deep.log", "x.tmp"}
    assert copied() == kept
    assert copied(excludes=["x.tmp", "!run.log"]) == kept - {"x.tmp"} | {"run.log"}
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    assert copied() == {name for name in files if not os.path.basename(name).startswith(".")} - {"large"}


def test_a_class_of_the_working_directory_is_an_actor(ray: Ray) -> None:
    class Reader:
        def read(self) -> str:
            return open("data.txt").read()

    assert ray.get(ray.remote(Reader).remote().read.remote()) == "seven"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("from own_package.inner import VALUE\n")
    (package / "inner.py").write_text("VALUE = 42\n")
    return package


@pytest.mark.usefixtures("raynb_only")  # Ray copies folders for whole jobs only
def test_a_package_can_be_brought_along(ray: Ray, package: Path) -> None:
    def use() -> Any:
        import own_package  # pyright: ignore  # it is brought along

        return own_package.VALUE, open("data.txt").read()

    assert ray.get(ray.remote(use).options(runtime_env={"py_modules": [str(package)]}).remote()) == (42, "seven")


@pytest.mark.usefixtures("raynb_only")
def test_an_imported_module_can_be_brought_along(ray: Ray, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(package.parent)
    imported: ModuleType = importlib.import_module("own_package")
    try:

        def use() -> Any:
            return importlib.import_module("own_package").__file__

        found = ray.get(ray.remote(use).options(runtime_env={"py_modules": [imported]}).remote())
    finally:
        for name in ("own_package", "own_package.inner"):
            del sys.modules[name]
    assert not found.startswith(str(package))


# -- packages


def wheel(folder: Path, name: str, version: str, requires: str = "") -> Path:
    """A package, as pip would fetch it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        made.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        made.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def version_of(name: str) -> tuple[str, str]:
    return importlib.import_module(name).VERSION, os.environ["VIRTUAL_ENV"]


@pytest.mark.usefixtures("raynb_only")
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_packages_are_installed_for_the_tasks_that_ask_for_them(ray: Ray, tmp_path: Path, tool: str) -> None:
    one, two = wheel(tmp_path, "rarely_needed", "1.0"), wheel(tmp_path, "rarely_needed", "2.0")
    look = ray.remote(version_of)
    found = ray.get(
        [look.options(runtime_env={tool: [str(path)]}).remote("rarely_needed") for path in (one, two, one)],
        timeout=100,
    )
    assert [version for version, _ in found] == ["1.0", "2.0", "1.0"]
    assert found[0][1] == found[2][1] != found[1][1]
    with pytest.raises(ModuleNotFoundError):
        ray.get(look.remote("rarely_needed"))


@pytest.mark.usefixtures("raynb_only")
def test_packages_of_the_driver_are_there_too(ray: Ray, tmp_path: Path) -> None:
    env = {"pip": [str(wheel(tmp_path, "on_top", "1.0", requires="numpy"))]}

    def use() -> Any:
        import numpy
        import on_top  # pyright: ignore  # it is installed for this task

        return on_top.VERSION, numpy.__version__

    import numpy

    assert ray.get(ray.remote(use).options(runtime_env=env).remote(), timeout=100) == ("1.0", numpy.__version__)


@pytest.mark.usefixtures("raynb_only")
def test_pip_is_used_where_its_options_are_given(ray: Ray, tmp_path: Path) -> None:
    path = wheel(tmp_path, "with_options", "1.0")
    env = {"pip": {"packages": [str(path)], "pip_install_options": ["--no-deps"], "pip_check": False}}
    (version, _) = ray.get(ray.remote(version_of).options(runtime_env=env).remote("with_options"), timeout=100)
    assert version == "1.0"


@pytest.mark.usefixtures("raynb_only")
def test_what_can_not_be_installed_is_told_with_the_log(ray: Ray, tmp_path: Path) -> None:
    env = {"pip": [str(wheel(tmp_path, "impossible", "1.0", requires="impossible==2.0")), "--no-index"]}
    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="impossible"):
        ray.get(ray.remote(version_of).options(runtime_env=env).remote("impossible"), timeout=100)


# -- the hook


def test_a_hook_runs_before_the_first_task_of_a_process(ray: Ray, look: Any) -> None:
    def hook() -> None:
        os.environ["HOOKED"] = os.environ["OF_THE_JOB"] + " " + os.getcwd()

    if not module.IS_RAYNB:
        pytest.skip("Ray takes hooks for whole jobs only")
    (found,) = look({"worker_process_setup_hook": hook}, "HOOKED")
    assert found.startswith("yes /")


@pytest.mark.usefixtures("raynb_only")
def test_a_failing_hook_fails_tasks_and_actors_with_its_traceback(ray: Ray, look: Any) -> None:
    def hook() -> None:
        raise LookupError("the hook's own words")

    env = {"worker_process_setup_hook": hook}
    for _ in range(2):
        with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="LookupError: the hook's own words"):
            look(env, "HOOKED")

    class Actor:
        def method(self) -> None: ...

    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="the hook's own words"):
        ray.get(ray.remote(Actor).options(runtime_env=env).remote().method.remote())
    assert look(None, "OF_THE_JOB") == ["yes"]


@pytest.mark.usefixtures("raynb_only")
def test_a_hook_that_can_not_be_sent_is_refused(ray: Ray) -> None:
    lock = threading.Lock()

    def hook() -> None:
        print(lock)

    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match=r"Failed to export the setup function.*lock"):
        ray.remote(variables).options(runtime_env={"worker_process_setup_hook": hook}).remote()


@pytest.mark.usefixtures("raynb_only")
def test_why_says_that_the_runtime_env_is_being_set_up(ray: Ray, gate: Gate) -> None:
    through = gate.through

    def hook() -> None:
        through()

    ref = ray.remote(variables).options(runtime_env={"worker_process_setup_hook": hook}).remote()
    gate.wait_for(1)
    wait_until(lambda: "runtime_env, which is being set up" in str(ref.why()), 20)
    assert "worker_process_setup_hook" in str(ref.why())
    gate.open()
    ray.get(ref)


# -- what is refused


@pytest.mark.parametrize(
    ("env", "kind", "named"),
    [
        ({"env_vars": {"A": 1}}, TypeError, "env_vars"),
        ({"env_vars": {"A": None}}, TypeError, "env_vars"),
        ({"working_dir": 3}, TypeError, "working_dir"),
        ({"working_dir": "/no/such/folder"}, ValueError, "/no/such/folder"),
        ({"py_modules": "a folder"}, TypeError, "py_modules"),
        ({"pip": 3}, TypeError, "pip"),
        ({"pip": "/no/such/requirements.txt"}, ValueError, "requirements.txt"),
        ({"pip": {"wheels": []}}, ValueError, "wheels"),
        ({"config": {"setup_timeout_seconds": 0}}, ValueError, "setup_timeout_seconds"),
        ("env_vars", TypeError, "runtime_env"),
    ],
)
def test_what_can_not_be_meant_is_refused_at_once(ray: Ray, env: Any, kind: Any, named: str) -> None:
    with pytest.raises(kind, match=named):
        ray.remote(variables).options(runtime_env=env).remote()


@pytest.mark.usefixtures("raynb_only")
@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"conda": "base"}, "conda.*pip"),
        ({"container": {}}, "container"),
        ({"env_var": {"A": "1"}}, "no field 'env_var'.*env_vars"),
        ({"working_dir": "s3://bucket/project.zip"}, "does not fetch"),
        ({"pip": ["a"], "uv": ["a"]}, "same time"),
        ({"worker_process_setup_hook": "no dot"}, "module.function"),
    ],
)
def test_what_raynb_does_not_have_is_refused_by_name(ray: Ray, env: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ray.remote(variables).options(runtime_env=env).remote()


@pytest.fixture
def part(bare_ray: Ray) -> ModuleType:
    return importlib.import_module(f"{module.NAME}.runtime_env")


def test_runtime_env_is_a_checked_dictionary(part: ModuleType) -> None:
    env = part.RuntimeEnv(env_vars={"A": "1"})
    assert (env.working_dir(), env.working_dir_uri(), env.py_modules_uris(), env.plugin_uris()) == ("", None, [], [])
    assert env.conda_uri() is None
    assert part.RuntimeEnv(working_dir="/tmp", py_modules=["a.whl"]).py_modules_uris() == ["a.whl"]
    assert dict(env) == env.to_dict() == {"env_vars": {"A": "1"}}
    assert env.env_vars() == {"A": "1"}
    assert part.RuntimeEnv.deserialize(env.serialize()) == env
    assert (
        part.RuntimeEnv(config=part.RuntimeEnvConfig(setup_timeout_seconds=3))["config"]["setup_timeout_seconds"] == 3
    )
    with pytest.raises(TypeError, match="env_vars"):
        part.RuntimeEnv(env_vars={"A": 1})


def test_an_environment_is_asked_what_is_in_it(raynb_only: None) -> None:
    RuntimeEnv = importlib.import_module("raynb.runtime_env").RuntimeEnv
    env = RuntimeEnv(pip=["one", "two"], env_vars={"A": "1"})
    assert env.has_pip() and not env.has_uv() and env.pip_config()["packages"] == ["one", "two"]
    assert env.pip_uri() == RuntimeEnv(pip=["one", "two"]).pip_uri() != RuntimeEnv(pip=["one"]).pip_uri()
    assert (env.uv_uri(), RuntimeEnv(uv=["one"]).pip_uri()) == (None, None)
    assert str(RuntimeEnv(uv=["one"]).uv_uri()).startswith("uv://")
    assert not env.has_conda() and not env.has_py_container()
    for name in ("conda_uri", "conda_config", "virtualenv_name", "image_uri", "py_container_image", "py_executable"):
        assert getattr(env, name)() is None
    assert env.plugins() == env.plugin_uris() == env.java_jars() == []


def test_a_field_that_is_set_is_checked_as_if_it_had_been_given(part: ModuleType) -> None:
    @dataclasses.dataclass
    class Packages:
        packages: list[str]
        pip_check: bool

    env = part.RuntimeEnv(env_vars={"A": "1"})
    env["pip"] = ["one", "two", "one"]
    assert env.pip_config() == {"packages": ["one", "two"], "pip_check": False}
    env.set("pip", Packages(["three"], True))
    assert env.get("pip", data_class=Packages) == Packages(["three"], True)
    assert env.get("uv", data_class=Packages) is None
    with pytest.raises(TypeError):
        env["env_vars"] = {"A": 1}
    with pytest.raises(ValueError, match="field"):
        env["no_such_field"] = 1
    assert env["env_vars"] == {"A": "1"}


def test_an_environment_as_a_dictionary_shares_nothing_with_it(part: ModuleType) -> None:
    config = part.RuntimeEnvConfig(setup_timeout_seconds=5)
    env = part.RuntimeEnv(pip=["one"], config=config)
    plain = env.to_dict()
    assert (type(plain), type(plain["config"]), plain["config"]) == (dict, dict, config.to_dict())
    plain["pip"]["packages"].append("two")
    assert env.pip_config()["packages"] == ["one"]
    assert part.RuntimeEnvConfig.default_config()["setup_timeout_seconds"] == 600


@pytest.mark.usefixtures("raynb_only")
def test_who_names_log_files_is_told_where_to_look(part: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    part.RuntimeEnvConfig(log_files=[])
    assert not caplog.records
    part.RuntimeEnvConfig(log_files=["setup.log"])
    (record,) = caplog.records
    assert record.getMessage().startswith("raynb: RuntimeEnvConfig(log_files=['setup.log']) has no effect: ")


@pytest.mark.parametrize("nothing", [{"env_vars": {}}, {"excludes": []}, {"pip": []}, {"uv": []}], ids=repr)
def test_an_empty_field_is_none(part: ModuleType, nothing: dict[str, Any]) -> None:
    assert part.RuntimeEnv(**nothing) == {}


@pytest.mark.parametrize(
    "options", [{"pip_check": "yes"}, {"pip_version": 1}, {"pip_install_options": "-q"}, {"pip_install_options": [1]}]
)
def test_options_of_pip_have_types(part: ModuleType, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        part.RuntimeEnv(pip={"packages": ["one"], **options})
