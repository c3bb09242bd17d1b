"""A cluster whose state is in the user's own Redis."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.users_redis import UsersServer
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UsersServer]:
    server = UsersServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def context(bare_ray: Ray, server: UsersServer) -> Iterator[Any]:
    with bare_ray.init(num_cpus=1, redis=server.url) as context:
        yield context


def test_actors_survive_the_gcs_by_it_and_no_other_server_runs(
    bare_ray: Ray, server: UsersServer, context: Any
) -> None:
    ray = bare_ray

    @ray.remote(num_cpus=0)
    class Box:
        def __init__(self) -> None:
            self.n = 0

        def add(self) -> int:
            self.n += 1
            return self.n

    box = Box.options(name="box").remote()
    assert ray.get(box.add.remote()) == 1
    assert server.say("DBSIZE") != 0
    info = json.loads((Path(context["session_dir"]) / "config").read_text())
    assert "redis" not in info["pids"], "no private one was started"
    assert "secret" not in json.dumps(info) and "secret" not in repr(context)
    os.kill(info["pids"]["gcs"], signal.SIGKILL)
    wait_until(lambda: ray.get(ray.get_actor("box").add.remote(), timeout=20) == 2, 20)


def test_what_the_cluster_had_there_is_gone_with_it(bare_ray: Ray, server: UsersServer) -> None:
    with bare_ray.init(num_cpus=1, redis=server.url):
        server.say("SET", "somebody else's", "1")
        bare_ray.get(bare_ray.remote(lambda: 1).remote())
    wait_until(lambda: server.say("DBSIZE") == 1, 10)


def test_a_server_that_is_not_there_is_told_at_init(bare_ray: Ray) -> None:
    with pytest.raises(Exception, match=r"127\.0\.0\.1:1\b") as caught:
        bare_ray.init(num_cpus=1, redis="redis://:sesame@127.0.0.1:1/0")
    assert "sesame" not in str(caught.value)
