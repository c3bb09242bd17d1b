"""A real Jupyter server beside real clusters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server_extension.jupyter import Screen, Server
from tests.server_extension.program import Program
from tests.support.leaks import processes_of
from tests.support.waiting import wait_until

CPUS = 2
BEGIN = f"""
import os, time
import raynb as ray
from raynb.runtime.api import session
session.driver_grace_s = 60.0  # as a kernel has it
context = ray.init(num_cpus={CPUS}, include_dashboard=False)
ray.nodes()  # answered: the control store knows this program, and asks it about its objects
answer = context["session_dir"]

@ray.remote
def square(x): return x * x

@ray.remote
def total(*parts): return sum(parts)

@ray.remote
class Counter:
    def __init__(self): self.n = 0
    def add(self): self.n += 1; return self.n

def wait_for(path):
    while not os.path.exists(path): time.sleep(0.005)

hold = ray.remote(wait_for)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


class Driven:
    """A cluster, the program that drives it, and the windows that look at it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.program = Program(server.environment)
        self.folder = Path(self.program.run(BEGIN))
        self.session = self.folder.name
        (listed,) = [c for c in server.clusters() if c["id"] in self.session]
        self.id: str = listed["id"]
        self.screens: list[Screen] = []

    def run(self, code: str) -> Any:
        return self.program.run(code)

    def screen(self, **options: Any) -> Screen:
        screen = self.server.screen(self.id, **options)
        self.screens.append(screen)
        return screen

    def get(self, path: str) -> Any:
        return self.server.get(f"clusters/{self.id}/{path}")

    def close(self) -> None:
        for screen in self.screens:
            screen.close()
        self.program.close()
        if any(found["id"] == self.id for found in self.server.clusters()):
            self.server.request("DELETE", f"clusters/{self.id}")
        wait_until(lambda: not processes_of(self.session), what="the processes of the cluster are gone")


@pytest.fixture
def cluster(server: Server) -> Iterator[Driven]:
    """A cluster of two CPUs that a program has started."""
    driven = Driven(server)
    yield driven
    driven.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that `hold` waits for."""
    path = tmp_path / "gate"
    yield path
    path.touch()
