"""A driver of a few lines, for tests of the node manager: it sends messages and waits for messages."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from raynb.runtime.adapters.launch import ClusterInfo
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.client.join import join
from raynb.runtime.messages import Message
from raynb.runtime.messages.gcs import KvGet, KvPut, Query, Reply
from raynb.runtime.messages.node import LeaseDemand, LeaseGranted, LeaseReturned, ProcessDied
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, TasksDone, TaskSpec
from raynb.runtime.messages.values import Inline

T = TypeVar("T")
PATIENCE_S = 15.0


class Driver:
    """Joined to a cluster."""

    def __init__(self, info: ClusterInfo, grace_s: float = 0.0) -> None:
        self.info = info
        self.transport = Transport(f"ipc://{info.session_dir}/p/{secrets.token_hex(8)}")
        self.received: list[tuple[str, Message]] = []
        self.joined, early = join(
            self.transport, info.node_manager, "driver", "test", job=secrets.token_bytes(4), grace_s=grace_s
        )
        self.received += early
        self._seq = 0

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *exc: object) -> None:
        self.transport.close()

    def send(self, message: Message) -> None:
        """To the node manager."""
        self.transport.send(self.info.node_manager, message)

    def wait_for(self, kind: type[T], fitting: Callable[[T], bool] = lambda message: True) -> T:
        """The first message of this kind that fits, which is not given again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for place, (_, message) in enumerate(self.received):
                if isinstance(message, kind) and fitting(message):
                    del self.received[place]
                    return message
            left = deadline - time.monotonic()
            if left <= 0:
                kinds = [
                    message if isinstance(message, ProcessDied) else type(message).__name__
                    for _, message in self.received
                ]
                raise AssertionError(f"no {kind.__name__} within {PATIENCE_S} s, only {kinds}")
            self.received += self.transport.receive(left)

    def lease(self, count: int = 1, **resources: float) -> list[LeaseGranted]:
        """So many workers."""
        self.send(LeaseDemand(1, resources or {"CPU": 1.0}, count, "test"))
        return [self.wait_for(LeaseGranted) for _ in range(count)]

    def give_back(self, grant: LeaseGranted) -> None:
        self.send(LeaseDemand(1, grant.resources, 0))
        self.send(LeaseReturned(grant.lease))

    def push(self, grant: LeaseGranted, name: str, args: bytes = b"") -> int:
        """Have a stand-in worker do something; gives the push's number."""
        self._seq += 1
        task = TaskSpec(self._seq, os.urandom(24), 0, args, name=name)
        function = FunctionDef(0, b"f" * 16, name, b"")
        context = ContextDef(0, b"job1", "", self.transport.address)
        self.transport.send(grant.worker, PushTasks(grant.lease, [task], [function], [context]))
        return self._seq

    def ask(self, grant: LeaseGranted, name: str, args: bytes = b"") -> Any:
        """Have a stand-in worker do something, and wait for its answer."""
        seq = self.push(grant, name, args)
        done = self.wait_for(TasksDone, lambda message: message.results[0].seq == seq)
        value = done.results[0].values[0]
        assert isinstance(value, Inline)
        return json.loads(value.data)

    # -- the GCS

    def request(self, message: Message) -> Reply:
        """Send it to the GCS again and again until it answers, as clients do."""
        number = message.request  # type: ignore[union-attr]
        for _ in range(20):
            self.transport.send(self.info.gcs, message)
            deadline = time.monotonic() + 1
            while (left := deadline - time.monotonic()) > 0:
                for _, answer in self.transport.receive(left):
                    if isinstance(answer, Reply) and answer.request == number:
                        return answer
        raise AssertionError(f"the GCS did not answer {message}")

    def query(self, table: str) -> list[dict[str, Any]]:
        import msgspec

        reply = self.request(Query(int.from_bytes(os.urandom(3)), table))
        assert reply.error is None, reply
        rows: list[dict[str, Any]] = msgspec.msgpack.decode(reply.data)["rows"]
        return rows

    def put(self, key: bytes, value: bytes) -> None:
        reply = self.request(KvPut(int.from_bytes(os.urandom(3)), key, value))
        assert reply.error is None, reply

    def get(self, key: bytes) -> bytes:
        reply = self.request(KvGet(int.from_bytes(os.urandom(3)), key))
        assert reply.error is None, reply
        return reply.data
