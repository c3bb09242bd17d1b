"""Packages for a ``runtime_env``: a virtual environment over the driver's, made once for each set of packages.

It lies in the user's cache, named by what it holds and by the Python that it is for. Processes that want the same one
wait for the first to make it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from raynb.runtime.messages.errors import RuntimeEnvSetupError

LOCK_POLL_S: Final = 0.2
OUTPUT_CHARS_MAX: Final = 8000


class VirtualEnv(NamedTuple):
    """One that was made."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def site_packages(self) -> list[Path]:
        """What goes on the import path."""
        return sorted(self.root.glob("lib/python*/site-packages"))


def cache_folder() -> Path:
    """Where they are kept, from one cluster to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "raynb" / "runtime_env"


def install(tool: str, wanted: dict[str, Any], timeout_s: float | None) -> VirtualEnv:
    """Have these packages.

    Parameters
    ----------
    tool
        ``pip`` or ``uv``. uv is used for both where it is there, unless ``pip_version`` or options of pip's are given.
    wanted
        The field of the runtime_env.

    Raises
    ------
    RuntimeEnvSetupError
        It did not work; with the output of the tool.
    """
    packages = [_located(package) for package in wanted["packages"]]
    options = wanted.get(f"{'uv_' if tool == 'uv' else ''}pip_install_options") or []
    described = json.dumps([sys.version, sys.prefix, tool, wanted, [_stamp(p) for p in packages]], sort_keys=True)
    final = cache_folder() / hashlib.sha256(described.encode()).hexdigest()[:24]
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(final.with_suffix(".lock"), deadline):
        # Its scripts have its path in them: it is made where it stays, and a mark says that it is whole.
        mark = final / "is-whole"
        if not mark.exists():
            shutil.rmtree(final, ignore_errors=True)
            _make(VirtualEnv(final), tool, wanted, packages, options, deadline)
            mark.touch()
    return VirtualEnv(final)


def _located(package: str) -> str:
    """A requirement; a local file by its whole path."""
    return str(Path(package).absolute()) if "/" in package and Path(package).exists() else package


def _stamp(package: str) -> str:
    """What changes when a local file does."""
    if "/" not in package or not Path(package).exists():
        return package
    status = os.stat(package)
    return f"{package} {status.st_mtime_ns} {status.st_size}"


@contextmanager
def _alone(lock: Path, deadline: float | None) -> Iterator[None]:
    """One process at a time."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if deadline is not None and time.monotonic() > deadline:
                    raise RuntimeEnvSetupError(
                        "another process is still installing the same packages: setup_timeout_seconds is over"
                    ) from None
                time.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _make(
    env: VirtualEnv,
    tool: str,
    wanted: dict[str, Any],
    packages: Sequence[str],
    options: Sequence[str],
    deadline: float | None,
) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", str(env.root)], deadline)
    parents = [path for path in sys.path if path.endswith("site-packages") and Path(path).is_dir()]
    for folder in env.site_packages:
        (folder / "_raynb_driver.pth").write_text("".join(f"{path}\n" for path in parents))
    uv = None if tool == "pip" and (options or wanted.get("pip_version")) else _find_uv()
    if uv is not None:
        constraints = env.root / f"constraints-{secrets.token_hex(4)}.txt"
        constraints.write_text(_of_the_driver(packages))
        command = [uv, "pip", "install", "--python", str(env.python), "--constraint", str(constraints)]
    elif tool == "uv":
        raise RuntimeEnvSetupError("runtime_env['uv'] needs uv, which is not installed: pip install uv")
    else:
        command = [sys.executable, "-m", "pip", "--python", str(env.python), "install", "--disable-pip-version-check"]
    if packages:
        _run([*command, *options, *packages], deadline)
    if wanted.get("pip_check"):
        _run([sys.executable, "-m", "pip", "--python", str(env.python), "check"], deadline)


def _find_uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _of_the_driver(packages: Sequence[str]) -> str:
    """Versions that the driver has, of all but what is asked for: uv does not look below the environment that it fills,
    and two copies of numpy in one process had better be the same."""
    asked = {_normal(re.split(r"[^\w.-]", package, maxsplit=1)[0]) for package in packages}
    lines = []
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"]
        # A local version is of no use to anybody who looks in an index.
        if name and _normal(name) not in asked and found.version and "+" not in found.version:
            lines.append(f"{name}=={found.version}\n")
    return "".join(sorted(set(lines)))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(command: Sequence[str], deadline: float | None) -> None:
    left = None if deadline is None else max(1.0, deadline - time.monotonic())
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=left,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        output = late.output.decode(errors="replace") if isinstance(late.output, bytes) else late.output or ""
        raise RuntimeEnvSetupError(f"setup_timeout_seconds is over. {shown}\n{output[-OUTPUT_CHARS_MAX:]}") from None
    if done.returncode != 0:
        raise RuntimeEnvSetupError(f"{shown}\nended with {done.returncode}:\n{done.stdout[-OUTPUT_CHARS_MAX:]}")
