"""What a call reads stays as it is to the end of the call, also when its caller dies and a third process owns it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb as ray
from raynb.runtime.api.session import session
from tests.support.leaks import Before
from tests.support.waiting import wait_until

SIZE = 2_000_000


@pytest.fixture
def cluster() -> Iterator[None]:
    before = Before.now()
    ray.init(num_cpus=4, namespace="callers")
    name = session().info.session
    yield
    ray.shutdown()
    before.assert_nothing_left(name)


@ray.remote
class Owner:
    """Owns an array, lets it go, and makes others where it lay."""

    def make(self) -> list[Any]:
        self.ref = ray.put(np.full(SIZE, 7, np.uint8))
        return [self.ref]

    def let_go_and_write(self) -> int:
        del self.ref
        self.others = [ray.put(np.full(SIZE, 1, np.uint8)) for _ in range(20)]
        return len(self.others)


def read(array: Any, folder: str) -> None:
    Path(folder, "begun").touch()
    while not os.path.exists(os.path.join(folder, "open")):
        time.sleep(0.005)
    Path(folder, "sum").write_text(str(int(array.sum())))


class Reader:
    def read(self, array: Any, folder: str) -> None:
        read(array, folder)


class AsyncReader:
    async def read(self, array: Any, folder: str) -> None:
        read(array, folder)


@ray.remote
class Caller:
    def pid(self) -> int:
        return os.getpid()

    def call(self, reader: Any, refs: list[Any], folder: str) -> None:
        self.pending = reader.read.remote(refs[0], folder)


@pytest.mark.parametrize("kind", [Reader, AsyncReader])
def test_an_actor_reads_what_a_dead_caller_gave_it(cluster: None, tmp_path: Path, kind: type) -> None:
    owner, caller, reader = Owner.remote(), Caller.remote(), ray.remote(kind).remote()
    pid = ray.get(caller.pid.remote())
    ray.get(caller.call.remote(reader, ray.get(owner.make.remote()), str(tmp_path)))
    wait_until((tmp_path / "begun").exists, what="the call has begun")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(caller.pid.remote(), timeout=20)
    assert ray.get(owner.let_go_and_write.remote(), timeout=20) == 20
    (tmp_path / "open").touch()
    wait_until(lambda: (tmp_path / "sum").exists() and (tmp_path / "sum").read_text(), what="it has read")
    assert int((tmp_path / "sum").read_text()) == 7 * SIZE
