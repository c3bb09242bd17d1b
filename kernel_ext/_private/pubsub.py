"""What goes wrong in a cluster, and what its tasks print, for who listens: ``GcsErrorSubscriber`` and
``GcsLogSubscriber`` of ``ray._raylet``.

Errors are those that a program has published itself, which the cluster keeps as keys for a while, and what its tables
say of nodes and workers that have ended unexpectedly. Lines are those of the tasks of this process's job.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Any, Final

import msgspec

from raynb._private import ray_constants
from raynb._private.gcs_client import GcsClient
from raynb.runtime.api import outputs
from raynb.runtime.api.context import get_runtime_context
from raynb.runtime.api.published import PLACE
from raynb.runtime.client.ids import JobID
from raynb.runtime.messages.tasks import DISPLAY, OutputLine
from raynb.util.node_address import get_node_ip_address
from raynb.util.state_source import ask

__all__ = ["GcsErrorSubscriber", "GcsLogSubscriber"]

ROWS_MAX: Final = 10_000
PATIENCE_S: Final = 10.0
POLL_S: Final = 0.1
LINES_MAX: Final = 10_000
"""Batches that a listener keeps who does not ask; the oldest go first."""
UNEXPECTED: Final = "UNEXPECTED_TERMINATION"
"""Why a node is gone that nobody has asked to end."""
NIL: Final = JobID.nil().binary()


class Told(dict[str, Any]):
    """One error or batch of lines: a map, of which one may also read ``told.type`` for ``told["type"]``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class GcsErrorSubscriber:
    """The errors of a cluster that come after `subscribe`."""

    def __init__(self, address: str | None = None, worker_id: bytes | None = None) -> None:
        self._client = GcsClient(address)
        self._address = address
        self._seen: set[object] = set()
        self._waiting: deque[Told] = deque()
        self._open = False

    def __repr__(self) -> str:
        return f"<GcsErrorSubscriber {self._client.address}>"

    def subscribe(self) -> None:
        """Begin: what is known by now is not told."""
        self._look()
        self._waiting.clear()
        self._open = True

    def poll(self, timeout: float | None = None) -> tuple[bytes | None, Told | None]:
        """The next one: whose (the job's id) and what; two times None when so many seconds are over."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self._open:
            if not self._waiting:
                self._look()
            if self._waiting:
                told = self._waiting.popleft()
                return told["job_id"], told
            left = deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(POLL_S, left))
        return None, None

    @property
    def last_batch_size(self) -> int:
        """How many wait to be had."""
        return len(self._waiting)

    def close(self) -> None:
        """End it. Idempotent."""
        self._open = False

    def _look(self) -> None:
        for key, told in (*self._published(), *self._nodes(), *self._workers()):
            self._seen.add(key)
            self._waiting.append(told)

    def _published(self) -> Iterator[tuple[object, Told]]:
        for key in sorted(self._client.internal_kv_keys(b"", PLACE)):
            if key not in self._seen and (data := self._client.internal_kv_get(key, PLACE)) is not None:
                yield key, Told(msgspec.msgpack.decode(data))

    def _rows(self, table: str, *filters: tuple[str, str, str]) -> list[dict[str, Any]]:
        page = ask(self._address, table, PATIENCE_S, limit=ROWS_MAX, detail=True, filters=list(filters))
        rows: list[dict[str, Any]] = page["rows"]
        return rows

    def _nodes(self) -> Iterator[tuple[object, Told]]:
        for row in self._rows("nodes", ("state", "=", "DEAD")):
            if row["death_reason"] == UNEXPECTED and row["node_id"] not in self._seen:
                words = f"A node is gone, namely {row['node_id']} ({row['node_ip']}): {row['death_message']}"
                yield row["node_id"], _told(ray_constants.REMOVED_NODE_ERROR, words)

    def _workers(self) -> Iterator[tuple[object, Told]]:
        """Those that had something to run: they died of themselves, or a task of theirs has failed for it."""
        failed = self._rows("tasks", ("error_type", "=", "WORKER_DIED"))
        jobs = {row["worker_id"]: row["job_id"] for row in failed}
        for row in self._rows("workers", ("is_alive", "=", "False")):
            worker = row["worker_id"]
            if worker in self._seen or row["worker_type"] != "WORKER":
                continue
            if row["exit_type"] == "SYSTEM_ERROR" or worker in jobs:
                words = (
                    f"Worker {worker} (pid {row['pid']}, node {row['node_id']}) died or was killed while executing "
                    f"something: {row['exit_detail']}"
                )
                job = bytes.fromhex(jobs[worker]) if worker in jobs else NIL
                yield worker, _told(ray_constants.WORKER_DIED_PUSH_ERROR, words, job)


def _told(error_type: str, words: str, job: bytes = NIL) -> Told:
    return Told(job_id=job, type=error_type, error_message=words, timestamp=time.time())


class GcsLogSubscriber:
    """What tasks of this process's job print after `subscribe`, line by line, whether it is shown here or not."""

    def __init__(self, address: str | None = None, worker_id: bytes | None = None) -> None:
        self._batches: deque[Told] = deque(maxlen=LINES_MAX)
        self._rests: dict[tuple[int, str], str] = {}
        self._come = Condition()

    def subscribe(self) -> None:
        """Begin."""
        self._job, self._ip = get_runtime_context().get_job_id(), get_node_ip_address()
        outputs.listeners.add(self._take)

    def close(self) -> None:
        """End it. Idempotent."""
        outputs.listeners.discard(self._take)

    def poll(self, timeout: float | None = None) -> Told | None:
        """The next batch: ``ip``, ``pid``, ``job``, ``is_err``, ``lines``, ``actor_name``, ``task_name``; None when so
        many seconds are over."""
        with self._come:
            self._come.wait_for(lambda: bool(self._batches), timeout)
            return self._batches.popleft() if self._batches else None

    @property
    def last_batch_size(self) -> int:
        """How many wait to be had."""
        return len(self._batches)

    def _take(self, lines: list[OutputLine]) -> None:
        with self._come:
            for line in lines:
                if line.stream != DISPLAY:
                    self._take_text(line)
            self._come.notify_all()

    def _take_text(self, line: OutputLine) -> None:
        whole, newline, rest = (self._rests.pop((line.pid, line.stream), "") + line.text).rpartition("\n")
        if rest:
            self._rests[line.pid, line.stream] = rest
        if not newline:
            return
        last = self._batches[-1] if self._batches else None
        of = {
            "ip": self._ip, "pid": str(line.pid), "job": self._job, "is_err": line.stream == "stderr",
            "actor_name": line.actor, "task_name": "" if line.actor else line.name,
        }  # fmt: skip
        if last is not None and all(last[name] == value for name, value in of.items()):
            last["lines"] += whole.split("\n")
        else:
            self._batches.append(Told(of, lines=whole.split("\n")))
