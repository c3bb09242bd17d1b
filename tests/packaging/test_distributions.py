"""What is built and installed, by the real tools: sdist, wheel from the sdist, editable install.

All builds run on a copy of the tree, with no Node.js on PATH, as on a machine that has only Python.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import raynb
from tests.architecture.source import PACKAGE_FOLDERS, ROOT

# The first builds load the front end's packages, and compile them: beside other tests that takes minutes.
pytestmark = pytest.mark.timeout(600)

MADE = (
    "static",
    ".git",
    ".venv",
    "build",
    "dist",
    "lib",
    "node_modules",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
)
# What npm's scripts and uv look for; everything but Node.js.
TOOLS = ("basename", "dirname", "env", "ldd", "sed", "sh", "uname")
LAB = "share/jupyter/labextensions/raynb"
WIDGETS = ("cluster.css", "cluster.js", "progress.css", "progress.js", "screen.css", "screen.js")
SERVER = "etc/jupyter/jupyter_server_config.d/raynb.json"


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without Node.js, and without the one that runs the tests."""
    tools = tmp_path_factory.mktemp("tools")
    for name in TOOLS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {"PATH": str(tools), "UV_SYSTEM_CERTS": "true"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as written, without anything that was built."""
    tree = tmp_path_factory.mktemp("tree") / "raynb"
    return Path(shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*MADE)))


@pytest.fixture(scope="module")
def uv() -> tuple[str, ...]:
    return (sys.executable, "-m", "uv", "--quiet")


@pytest.fixture(scope="module")
def sdist(tree: Path, env: dict[str, str], uv: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run(*uv, "build", "--sdist", "--python", sys.executable, "-o", out, cwd=tree, env=env)
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, env: dict[str, str], uv: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(*uv, "build", "--wheel", "--python", sys.executable, "-o", out, sdist, cwd=out, env=env)
    return next(out.glob("*.whl"))


@pytest.fixture
def venv(tmp_path: Path, env: dict[str, str], uv: tuple[str, ...]) -> Path:
    run(*uv, "venv", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path, env=env)
    return tmp_path / "venv"


@pytest.fixture(scope="module")
def in_wheel(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def metadata(wheel: Path) -> Message:
    name = f"raynb-{raynb.__version__}.dist-info/METADATA"
    return Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())


def test_the_wheel_holds_every_module_and_nothing_else(in_wheel: set[str], tree: Path) -> None:
    modules = {
        f"{package.replace('.', '/')}/{path.relative_to(tree / folder).as_posix()}"
        for folder, package in PACKAGE_FOLDERS.items()
        for path in (tree / folder).rglob("*.py")
    }
    assert {name for name in in_wheel if name.endswith(".py")} == modules
    info = f"raynb-{raynb.__version__}"
    top = {name.partition("/")[0] for name in in_wheel}
    assert top == {"raynb", f"{info}.data", f"{info}.dist-info"}


def test_the_wheel_is_typed_and_enables_both_extensions(in_wheel: set[str]) -> None:
    data = f"raynb-{raynb.__version__}.data/data"
    assert "raynb/py.typed" in in_wheel
    assert "raynb/server_extension/openapi.yaml" in in_wheel
    assert {
        f"{data}/{LAB}/package.json",
        f"{data}/{LAB}/install.json",
        f"{data}/{SERVER}",
    } <= in_wheel
    assert [name for name in in_wheel if name.startswith(f"{data}/{LAB}/static/remoteEntry.")]


def test_the_wheel_has_rays_command_as_one_that_can_be_run(wheel: Path) -> None:
    command = zipfile.ZipFile(wheel).getinfo("raynb/shims/bin/ray")
    assert (command.external_attr >> 16) & 0o111 == 0o111


def test_the_wheel_carries_each_widgets_bundle_in_one_file(wheel: Path, in_wheel: set[str]) -> None:
    folder = "raynb/widgets/static/"
    assert {name for name in in_wheel if name.startswith(folder)} == {f"{folder}{name}" for name in WIDGETS}
    with zipfile.ZipFile(wheel) as archive:
        for name in WIDGETS:
            bundle = archive.read(f"{folder}{name}").decode()
            assert not re.search(r"\bimport\b[^;]*\bfrom\b|@import|\bimport\(", bundle)


def test_the_wheel_says_its_licence_and_its_python(wheel: Path, in_wheel: set[str]) -> None:
    says = metadata(wheel)
    assert says["License-Expression"] == "Apache-2.0"
    assert says["Requires-Python"] == ">=3.11"
    assert f"raynb-{raynb.__version__}.dist-info/licenses/LICENSE" in in_wheel


def test_the_sdist_holds_the_sources_and_the_built_front_end(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        *("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.py"),
        *("kernel_ext/__init__.py", "kernel_ext/etc/raynb.json", "runtime/__init__.py"),
        *("labextension/src/plugin.ts", "labextension/package-lock.json", "labextension/npm.py"),
        "labextension/dist/package.json",
        *(f"widgets/static/{name}" for name in WIDGETS),
        "labextension/src/widgets/progress.ts",
    } <= names
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]


def test_a_fresh_environment_has_both_extensions_and_all_that_it_imports(
    wheel: Path, venv: Path, env: dict[str, str], uv: tuple[str, ...]
) -> None:
    python = venv / "bin" / "python"
    run(*uv, "pip", "install", "--python", python, wheel, cwd=venv, env=env)
    code = "import raynb, raynb.magics, raynb.runtime; raynb.widgets.Cluster; print(raynb.__file__)"
    assert Path(run(python, "-c", code, cwd=venv, env=env).strip()).is_relative_to(venv)
    check = subprocess.run(
        [venv / "bin" / "jupyter-server", "extension", "list"],
        env=env | {"JUPYTER_CONFIG_DIR": str(venv / "none")},
        capture_output=True,
        text=True,
    )
    assert f"raynb {raynb.__version__}" in check.stdout + check.stderr
    assert json.loads((venv / LAB / "package.json").read_text())["name"] == "raynb"


def test_an_editable_install_sees_new_modules_and_enables_both_extensions(
    sdist: Path, venv: Path, env: dict[str, str], uv: tuple[str, ...], tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.glob("raynb-*")).rename(tmp_path / "raynb")
    python = venv / "bin" / "python"
    run(*uv, "pip", "install", "--python", python, "--no-deps", "-e", source, cwd=tmp_path, env=env)
    assert (venv / LAB / "package.json").exists()
    assert (venv / SERVER).exists()
    assert all((source / "widgets" / "static" / name).exists() for name in WIDGETS)
    (source / "magics" / "arrived_later.py").write_text("answer = 42\n")
    # From the folder above the sources, where an empty namespace package would be found first.
    code = "from raynb.magics.arrived_later import answer; print(answer)"
    assert run(python, "-c", code, cwd=tmp_path, env=env).strip() == "42"
