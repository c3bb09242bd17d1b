#!/usr/bin/env python3
"""Everything a fresh machine needs, in one command each. Needs only Python 3.11 or newer.

./do demo [--no-lab] [ARGS]   install, run notebooks/quickstart.ipynb, print its summary, leave
                              its page in build/demo/, and open JupyterLab (with ARGS) on it,
                              with what the lectures beside it need
./do test [ARGS]              install, with Chromium for browser tests, and run pytest (with ARGS;
                              without any all tests, side by side)
./do bench [ARGS]             install, and measure JupyterLab's panels in Chromium on a run of 100,000
                              tasks; --help tells of ARGS. What needs no browser: raynb microbenchmark
./do lint                     ruff, mypy, pyright, import-linter; tsc, eslint and prettier

All goes into .venv (or $RAYNB_VENV) and build/; what is there and current is not made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("RAYNB_VENV", ROOT / ".venv")).absolute()
PYTHON = VENV / "bin" / "python"
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
DEMO = ROOT / "build" / "demo"
SIDE_BY_SIDE = ("-n", str(CPUS + 1), "--no-loadscope-reorder")
"""How all tests are run (see tests/conftest.py): one process more than there are CPUs, for tests wait now and then."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def sh(*command: object, env: Mapping[str, str] | None = None) -> None:
    """Run a command in the project's folder; a failure raises `CalledProcessError`."""
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True, env=env)


def become(*command: object, env: Mapping[str, str]) -> NoReturn:
    """Run a command in this process's place, so that signals and the exit status are its own."""
    print("+", *command, flush=True)
    os.chdir(ROOT)
    words = [str(word) for word in command]
    os.execve(words[0], words, dict(env))


def venv_env() -> dict[str, str]:
    return dict(os.environ, PATH=f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def apt(*packages: str) -> bool:
    """Install Debian packages, where that is possible without a password; says if it was."""
    if not shutil.which("apt-get"):
        return False
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and (not shutil.which("sudo") or subprocess.run([*sudo, "true"], capture_output=True).returncode):
        return False
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    try:
        sh(*sudo, *env, "apt-get", "-q", "update")
        sh(*sudo, *env, "apt-get", "-q", "install", "-y", "--no-install-recommends", *packages)
    except subprocess.CalledProcessError:
        return False
    return True


def make_venv() -> None:
    try:
        sh(sys.executable, "-m", "venv", VENV)
    except subprocess.CalledProcessError:  # Debian without python3-venv
        if not apt("python3-venv"):
            sys.exit("do: install your system's package python3-venv, then try again")
        sh(sys.executable, "-m", "venv", "--clear", VENV)


def install_inputs() -> str:
    """One hash over what an install depends on; an edit of a Python module needs none."""
    files = [ROOT / "pyproject.toml", ROOT / "setup.py", ROOT / "kernel_ext" / "_version.py"]
    for folder in ("labextension/src", "labextension/style", "labextension/schema", "kernel_ext/etc"):
        files += sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())
    files += sorted((ROOT / "labextension").glob("*.json"))
    linked = sorted(path.name for path in (ROOT / "kernel_ext").glob("*[!_]"))  # see setup.py
    digest = hashlib.sha256(f"{ROOT} {linked}".encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def install(extra: str) -> None:
    """Make the environment and install raynb with `extra` into it, unless that is done already."""
    wanted = install_inputs()
    stamps = {name: VENV / f".raynb-{name}" for name in (extra, "dev")}  # dev has everything
    if any(stamp.exists() and stamp.read_text() == wanted for stamp in stamps.values()):
        return
    if not (VENV / "bin" / "pip").exists():  # where venv fails, it leaves all but this
        make_venv()
    sh(PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "uv")
    uv = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, "--system-certs", "-q"]
    sh(*uv, "-e", f".[{extra}]")
    stamps[extra].write_text(wanted)


def demo(*args: str) -> None:
    install("notebooks")
    env = venv_env()
    convert = [PYTHON, "-m", "nbconvert", "--log-level=WARN", f"--output-dir={DEMO}"]
    curve = "--KernelManager.transport_encryption=auto"  # else the kernel warns of plain TCP
    sh(*convert, "--to=notebook", "--execute", curve, NOTEBOOK, env=env)
    folder = f"--TemplateExporter.extra_template_basedirs={NOTEBOOK.parent}"
    sh(*convert, "--to=html", folder, "--template=page", DEMO / NOTEBOOK.name, env=env)
    page = DEMO / f"{NOTEBOOK.stem}.html"
    print(f"\n{summary(DEMO / NOTEBOOK.name)}\n\nThe whole notebook as it ran: {page.as_uri()}")
    if "--no-lab" in args:
        return
    root = ["--allow-root"] if os.geteuid() == 0 else []
    become(PYTHON, "-m", "jupyter", "lab", *root, *args, NOTEBOOK, env=env)


def summary(executed: Path) -> str:
    """What the last code cell of a notebook says, as text."""
    cells = json.loads(executed.read_text())["cells"]
    outputs = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"][-1]
    texts = [each.get("text") or each.get("data", {}).get("text/plain", "") for each in outputs]
    return "".join("".join(text) for text in texts).strip()


def need_chromium() -> None:
    if not any(map(shutil.which, CHROMIUM)) and not apt("chromium"):
        print("do: there is no Chromium and no way to install it; what runs in a browser needs it")


def bench(*args: str) -> None:
    need_chromium()
    install("dev")
    become(PYTHON, "-m", "tests.benchmarks.panels", *args, env=venv_env())


def test(*args: str) -> None:
    need_chromium()
    install("dev")
    env = venv_env()
    # Tests start a thousand processes, and each of them would compile all that it imports.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    become(PYTHON, "-m", "pytest", *(args or SIDE_BY_SIDE), env=env)


def lint() -> None:
    """Run every check, also after one has failed: one run shows everything."""
    install("dev")
    env = venv_env()
    failed = []
    for check in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pyright", "--pythonpath", PYTHON],
        ["lint-imports"],
        [PYTHON, "labextension/npm.py", "run", "lint"],
    ):
        try:
            sh(*check, env=env)
        except subprocess.CalledProcessError:
            failed.append(" ".join(map(str, check)))
    if failed:
        sys.exit("do: failed: " + "; ".join(failed))


def main(verb: str = "help", *args: str) -> None:
    verbs = {"demo": demo, "test": test, "bench": bench, "lint": lint}
    if verb not in verbs:
        sys.exit(__doc__)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file meets whatever python3 there is
        sys.exit(f"do: raynb needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    try:
        verbs[verb](*args)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
