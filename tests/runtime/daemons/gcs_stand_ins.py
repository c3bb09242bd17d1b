"""A real GCS process with a real store, and stand-ins for the processes around it: a transport with a name."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from raynb.runtime.adapters.redis_server import RedisServer
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.messages import Config, Message
from raynb.runtime.messages.gcs import (
    ActorStarted,
    CreateActor,
    GcsSettings,
    NodeRegistered,
    Query,
    RegisterJob,
    RegisterNode,
    Reply,
)
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from tests.support.waiting import wait_until

T = TypeVar("T")
PATIENCE_S = 10.0
NODE = b"node" * 7
JOB = b"job1"


class Cluster:
    """A session's directory, a state store and a GCS that can be killed and started again."""

    def __init__(self, store: str, config: Config | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="raynb-"))
        (self.path / "p").mkdir(mode=0o700)
        self.address = f"ipc://{self.path}/p/gcs"
        self.log = self.path / "gcs.log"
        self.redis = RedisServer(self.path / "redis", "test") if store == "redis" else None
        self.settings = GcsSettings(
            self.address,
            str(self.path),
            "test",
            redis_directory=str(self.path / "redis") if self.redis else "",
            sqlite_path="" if self.redis else str(self.path / "state.sqlite"),
            config=msgspec.msgpack.encode(config or Config()),
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.peers: list[Peer] = []
        if self.redis:
            self.start_redis()
        self.start()

    def start(self) -> None:
        assert self.process is None
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "raynb.runtime.daemons.gcs"]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.msgpack.encode(self.settings))
        self.process.stdin.close()

    def start_redis(self) -> None:
        assert self.redis is not None
        self.redis.start(time.monotonic() + PATIENCE_S)
        self.redis.wait_ready(time.monotonic() + PATIENCE_S)

    def kill_redis(self) -> None:
        assert self.redis is not None and self.redis.process is not None
        self.redis.process.signal(signal.SIGKILL)
        assert self.redis.process.wait(PATIENCE_S) is not None

    def end(self, signum: int = signal.SIGKILL) -> int:
        """End the GCS; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signum)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code

    def restart(self) -> None:
        self.end()
        self.start()

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.log.read_text(), PATIENCE_S, f"{text!r} in the log")

    def peer(self, name: str = "") -> Peer:
        peer = Peer(self, name or secrets.token_hex(4))
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        if self.process is not None:
            self.end()
        if self.redis is not None:
            self.redis.stop()
        shutil.rmtree(self.path)


@contextmanager
def running(store: str, config: Config | None = None) -> Iterator[Cluster]:
    cluster = Cluster(store, config)
    try:
        yield cluster
    except BaseException:
        print(cluster.log.read_text())
        raise
    finally:
        cluster.close()


class Peer:
    """A process that talks with the GCS."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.gcs = cluster.address
        self.address = f"ipc://{cluster.path}/p/{name}"
        self.transport = Transport(self.address)
        self.inbox: list[Message] = []
        self._number = 0

    def send(self, message: Message) -> None:
        self.transport.send(self.gcs, message)

    def number(self) -> int:
        self._number += 1
        return self._number

    def wait(
        self,
        kind: type[T],
        matches: Callable[[T], bool] = lambda _: True,
        again: Message | None = None,
        timeout_s: float = PATIENCE_S,
    ) -> T:
        """The next message of this kind, which it takes out of the inbox; ``again`` is sent each second meanwhile."""
        deadline = time.monotonic() + timeout_s
        resend = time.monotonic() + 1.0
        while True:
            for message in self.inbox:
                if isinstance(message, kind) and matches(message):
                    self.inbox.remove(message)
                    return message
            now = time.monotonic()
            assert now < deadline, f"no {kind.__name__} within {timeout_s} s, but {self.inbox}"
            if now >= resend:
                resend = now + 1.0
                if again is not None:
                    self.send(again)
            self.inbox += [m for _, m in self.transport.receive(min(resend, deadline) - now)]

    def ask(self, message: Any, timeout_s: float = PATIENCE_S) -> Reply:
        self.send(message)
        return self.wait(Reply, lambda reply: reply.request == message.request, message, timeout_s)

    def query(self, table: str, **parts: Any) -> dict[str, Any]:
        reply = self.ask(Query(self.number(), table, **parts))
        assert reply.error is None, reply.error
        page: dict[str, Any] = msgspec.msgpack.decode(reply.data)
        return page

    def close(self) -> None:
        self.transport.close()

    # -- as a node manager, a driver, a worker

    def register_node(self, **parts: Any) -> NodeRegistered:
        message = RegisterNode(
            node_id=NODE,
            address=self.address,
            pid=parts.pop("pid", os.getpid()),
            hostname=parts.pop("hostname", "elsewhere"),
            ip="127.0.0.1",
            is_head=True,
            resources={"CPU": 2.0},
            labels={},
            started=time.time(),
            **parts,
        )
        self.inbox = [m for m in self.inbox if not isinstance(m, NodeRegistered)]  # of repetitions
        self.send(message)
        return self.wait(NodeRegistered, again=message)

    def register_job(self, job: bytes = JOB) -> None:
        message = RegisterJob(self.number(), job, self.address, os.getpid(), "space", "script.py", time.time())
        assert self.ask(message).error is None

    def create(self, number: int = 1, **parts: Any) -> CreateActor:
        """Ask for an actor; `wait` for the reply."""
        message = actor(self.number(), number, self.address, **parts)
        self.send(message)
        return message

    def started(self, start: StartActor, **parts: Any) -> None:
        self.send(ActorStarted(start.actor_id, start.incarnation, self.address, 4321, NODE, **parts))


def actor_id(number: int, job: bytes = JOB) -> bytes:
    return number.to_bytes(12, "big") + job


def actor(request: int, number: int, owner: str, name: str = "", **parts: Any) -> CreateActor:
    """A `CreateActor` with the fields that matter to a test."""
    job = parts.pop("job", JOB)
    creation = StartActor(
        actor_id(number, job),
        0,
        FunctionDef(0, b"f" * 16, "Counter", b"pickle"),
        b"args",
        None,
        None,
        ContextDef(0, job, "space", owner),
        parts.pop("resources", {"CPU": 1.0}),
        owner,
        name,
    )
    settings: dict[str, Any] = {
        "namespace": "space",
        "detached": False,
        "max_restarts": 0,
        "max_task_retries": 0,
        "class_name": "Counter",
        "methods": b"methods",
        **parts,
    }
    return CreateActor(request, creation, name, **settings)
