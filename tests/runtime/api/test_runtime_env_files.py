"""What a `runtime_env` brings along from files: archives, and folders that what a task starts finds, too."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.module import Ray

pytestmark = pytest.mark.usefixtures("raynb_only")  # Ray copies folders for whole jobs only


def test_what_a_task_starts_finds_what_was_brought_along(ray: Ray, tmp_path: Path) -> None:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "by_path.py").touch()

    def start() -> tuple[str, str]:
        import by_path  # pyright: ignore  # it is brought along

        command = [sys.executable, "-c", f"import by_path, {package.name}; print('found')"]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr, by_path.__name__

    env = {"py_modules": [str(package)], "env_vars": {"PYTHONPATH": str(tmp_path / "given")}}
    assert ray.get(ray.remote(start).options(runtime_env=env).remote(), timeout=60) == ("found\n", "by_path")


@pytest.mark.parametrize("kind", ["zip", "gztar", "xztar"])
def test_an_archive_is_unpacked_as_it_is(ray: Ray, tmp_path: Path, kind: str) -> None:
    (tmp_path / "packed" / "project").mkdir(parents=True)
    (tmp_path / "packed" / "project" / "inside.txt").write_text("what is inside")
    archive = shutil.make_archive(str(tmp_path / "project"), kind, tmp_path / "packed")

    def read() -> str:
        return open("project/inside.txt").read()

    assert ray.get(ray.remote(read).options(runtime_env={"working_dir": archive}).remote()) == "what is inside"


def test_an_archive_writes_nothing_elsewhere(ray: Ray, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as made:
        made.addfile(tarfile.TarInfo("../outside.txt"))
    with pytest.raises((ValueError, tarfile.TarError), match="outside"):
        ray.remote(lambda: None).options(runtime_env={"working_dir": str(tmp_path / "bad.tar.gz")}).remote()
