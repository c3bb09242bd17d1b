"""The clusters of this user, wherever they were started: listed, started, stopped, scaled.

The server's environment may hold another raynb than a cluster's. One that speaks another protocol is listed, with what
is wrong; and it is stopped by its own interpreter.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from raynb._version import __version__
from raynb.runtime.adapters.registry import ClusterEntry, clusters
from raynb.runtime.adapters.request import Requester
from raynb.runtime.messages.config import PROTOCOL_VERSION
from raynb.runtime.messages.node import ScaleNode

COMMAND: Final = ("-c", "from raynb.runtime.cli import main; main()")
"""The command line of whichever raynb an interpreter has."""
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
SCALE_S_MAX: Final = 10.0
WORDS_MAX: Final = 2000

Cpus = Annotated[float, Meta(ge=0, le=4096)]
Name = Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9 ._-]{0,63})?$")]
"""It is a part of command lines and an address."""


class NoSuchCluster(LookupError):
    """There is no cluster with this id."""


class OtherProtocol(RuntimeError):
    """The cluster can't be talked to from here."""


class StartRequest(Struct, forbid_unknown_fields=True):
    """How a cluster is to be. ``kernel``: the name of a kernel spec, whose interpreter it gets."""

    num_cpus: Cpus | None = None
    name: Name = ""
    kernel: str = ""


class ScaleRequest(Struct, forbid_unknown_fields=True):
    num_cpus: Cpus


def problem(entry: ClusterEntry) -> str:
    """Why this server can't talk to a cluster; empty if it can."""
    if entry.protocol_version == PROTOCOL_VERSION:
        return ""
    return (
        f"it runs raynb {entry.raynb_version} (protocol {entry.protocol_version}), and the Jupyter server has raynb "
        f"{__version__} (protocol {PROTOCOL_VERSION}): install the same version for both"
    )


def described(entry: ClusterEntry) -> dict[str, Any]:
    """A cluster as the browser is told of it."""
    wrong = problem(entry)
    return {
        "id": entry.cluster_id,
        "name": entry.name or entry.cluster_id,
        "address": entry.name or entry.cluster_id,
        "origin": f"notebook {entry.notebook}" if entry.notebook else "command line or script",
        "notebook": entry.notebook.removeprefix("kernel-"),
        "pid": entry.pid,
        "python": entry.python,
        "raynb_version": entry.raynb_version,
        "protocol_version": entry.protocol_version,
        "started_at": entry.started_at,
        "alive": not wrong,
        "problem": wrong,
    }


def listed() -> list[dict[str, Any]]:
    """All of this user's clusters that can be reached from here."""
    return [described(entry) for entry in clusters()]


def entry_of(cluster_id: str) -> ClusterEntry:
    """The cluster with this id; `NoSuchCluster` if there is none."""
    for entry in clusters():
        if entry.cluster_id == cluster_id:
            return entry
    raise NoSuchCluster(f"there is no cluster {cluster_id}: it has ended, or was never there")


def cluster(cluster_id: str) -> ClusterEntry:
    """A cluster that this server can talk to.

    Raises
    ------
    NoSuchCluster, OtherProtocol
    """
    entry = entry_of(cluster_id)
    if wrong := problem(entry):
        raise OtherProtocol(f"cluster {entry.name or cluster_id} can't be shown: {wrong}")
    return entry


def interpreter(argv: Sequence[str]) -> str:
    """The Python that a kernel spec runs. As for Jupyter, a bare ``python`` is the server's own, not PATH's.

    Raises
    ------
    ValueError
        It runs something else.
    """
    program = argv[0] if argv else ""
    if program in ("python", "python{}".format(*sys.version_info), "python{}.{}".format(*sys.version_info)):
        return sys.executable
    found = program if os.path.isabs(program) else shutil.which(program)
    if not found or "python" not in os.path.basename(found):
        raise ValueError(f"this kernel is not run by Python itself ({program!r}), so no cluster can be started with it")
    return found


def start(request: StartRequest, python: str) -> dict[str, Any]:
    """Start a cluster that lives until it is stopped.

    Raises
    ------
    OSError
        It did not start; with what the command said.
    """
    name = request.name or f"lab-{secrets.token_hex(3)}"
    command = ["start", "--head", f"--name={name}"]
    if request.num_cpus is not None:
        command.append(f"--num-cpus={request.num_cpus:g}")
    _run(python or sys.executable, command, START_S_MAX)
    for entry in clusters():
        if entry.name == name:
            return described(entry)
    raise OSError(f"the cluster {name!r} was started, but is not listed: is it another user's or container's?")


def stop(cluster_id: str) -> None:
    """Stop a cluster by its own interpreter, and wait until its processes are gone."""
    entry = entry_of(cluster_id)
    python = entry.python if os.access(entry.python, os.X_OK) else sys.executable
    _run(python, ["stop", entry.cluster_id], STOP_S_MAX)


def scale(cluster_id: str, request: ScaleRequest) -> dict[str, float]:
    """Change how many CPUs its node offers."""
    entry = cluster(cluster_id)
    with Requester(entry.session_dir) as guest:
        guest.ask(entry.address, ScaleNode(guest.number(), request.num_cpus), SCALE_S_MAX)
    return {"num_cpus": request.num_cpus}


def _run(python: str, command: list[str], timeout_s: float) -> str:
    began = time.monotonic()
    try:
        done = subprocess.run(
            [python, *COMMAND, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"`raynb {command[0]}` did not end within {time.monotonic() - began:.0f} s") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-WORDS_MAX:]
        if "No module named 'raynb'" in words:
            words = f"raynb is not installed for {python}: install it there, or choose another kernel"
        raise OSError(words or f"`raynb {command[0]}` ended with {done.returncode}")
    return done.stdout
