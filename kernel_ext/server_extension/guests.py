"""A Jupyter server as a guest of clusters: it may borrow objects and have small things done there.

Rules
-----
* One guest for each cluster that somebody looks into; it leaves `IDLE_S` after the last look, and when the cluster has
  ended.
* Nothing is unpickled here. What a guest has a worker do is no part of the run: it is in no table and no graph.
* What a worker does for a guest needs no CPU of the cluster, and is ended when its time is over.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.session_dir import is_held
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import Execution
from raynb.runtime.client.join import join
from raynb.runtime.codec.functions import pack_function
from raynb.runtime.codec.layout import Header
from raynb.runtime.codec.peek import result_bytes
from raynb.runtime.core.inbox import Retain
from raynb.runtime.core.node_identity import session_dir_of
from raynb.runtime.core.task import Function
from raynb.runtime.messages.errors import RaySystemError
from raynb.runtime.messages.ids import JOB_ID_BYTES, TASK_ID_BYTES
from raynb.runtime.messages.node import LeaveNode
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from raynb.runtime.messages.values import Failed, Inline, Stored, Value

IDLE_S: Final = 60.0
SWEEP_S: Final = 1.0
JOIN_S_MAX: Final = 5.0


class Guest:
    """This process in one cluster. Its methods may be called from any thread."""

    def __init__(self, entry: ClusterEntry) -> None:
        self.entry = entry
        self.looks = 0
        self.last_look = time.monotonic()
        transport = Transport(f"ipc://{entry.session_dir}/p/{secrets.token_hex(8)}")
        try:
            joined, _ = join(transport, entry.address, "guest", "Jupyter server", timeout_s=JOIN_S_MAX)
            if joined.error:
                raise RaySystemError(f"the cluster refused this server: {joined.error}")
        except BaseException:
            transport.close()
            raise
        context = ContextDef(0, bytes(JOB_ID_BYTES), "", "")
        self.client = Client(
            transport,
            joined,
            entry.address,
            Execution(context, bytes(TASK_ID_BYTES), "guest"),
            on_foreign=lambda sender, message: None,
        )
        self.client.machine.recorder.quiet = True
        self._functions: dict[Callable[..., bytes], Function] = {}
        self.client.host.start()

    def __repr__(self) -> str:
        return f"<Guest of {self.entry.cluster_id}>"

    def close(self) -> None:
        self.client.stop(LeaveNode())

    @property
    def done(self) -> bool:
        """Whether it may leave."""
        idle = not self.looks and time.monotonic() - self.last_look > IDLE_S
        return idle or not is_held(Path(self.entry.session_dir)) or not self.client.host.alive

    # -- what it can have

    @contextmanager
    def borrowed(self, oid: bytes, owner: str, timeout_s: float) -> Any:
        """The value of somebody's object, packed, held meanwhile.

        Raises
        ------
        TimeoutError
            Its owner did not answer in time.
        """
        client = self.client
        client.post(Retain(oid, owner))
        try:
            yield self._value(oid, timeout_s)
        finally:
            client.drop(oid)

    def have_done(self, work: Callable[..., bytes], args: tuple[Any, ...], timeout_s: float) -> bytes:
        """Have a worker call a function of raynb's own, which gives bytes.

        Raises
        ------
        TimeoutError
            It took too long; the worker was ended.
        RuntimeError
            It failed there; the words say why.
        """
        client = self.client
        (ref,) = client.submit(self._function(work), args, None)
        oid = ref.binary()
        try:
            value = self._value(oid, timeout_s)
        except TimeoutError:
            client.cancel(ref, force=True, recursive=True)
            raise
        if isinstance(value, Failed):
            raise RuntimeError(value.message)
        if isinstance(value, Inline):
            return result_bytes(value.data, value.buffers)
        assert isinstance(value, Stored)
        data, buffers = self.parts(value.segment, value.offset, value.size, oid)
        return result_bytes(bytes(data), [bytes(buffer) for buffer in buffers])

    def parts(self, segment: str, offset: int, size: int, oid: bytes) -> tuple[memoryview, list[memoryview]]:
        """The pickle and the buffers of an object in shared memory, where they lie.

        Raises
        ------
        ValueError
            It isn't there.
        """
        view = self.client.plane.segments.read_view(segment, offset, size)
        header = Header(view)
        if not header.complete or header.oid != oid or header.total > view.nbytes:
            raise ValueError("the object has moved")
        places = header.places
        buffers = [view[at : at + length] for at, length in zip(places[::2], places[1::2], strict=True)]
        return view[header.data_at : header.data_at + header.data_bytes], buffers

    def _value(self, oid: bytes, timeout_s: float) -> Value:
        if self.client.wait_for([oid], 1, timeout_s):
            entry = self.client.machine.objects.entries.get(oid)
            if entry is not None and entry.value is not None:
                return entry.value
        raise TimeoutError(f"no answer within {timeout_s:g} s")

    def _function(self, work: Callable[..., bytes]) -> Function:
        known = self._functions.get(work)
        if known is None:
            function_id, blob = pack_function(work)
            definition = FunctionDef(self.client.next_number(), function_id, work.__qualname__, blob)
            known = Function(definition, work.__name__, {}, max_retries=0, job=bytes(JOB_ID_BYTES))
            self._functions[work] = known
        return known


def at_node(entry: ClusterEntry, manager: str) -> ClusterEntry | None:
    """A cluster as one of its nodes has it, by the address of that node's manager; None: not on this machine."""
    session = session_dir_of(manager)
    if Path(session).parent != Path(entry.session_dir).parent:
        return None
    return msgspec.structs.replace(entry, session_dir=session, address=manager)


class Guests:
    """The guests of a server, by cluster (and node: what lies there is read there)."""

    def __init__(self) -> None:
        self._guests: dict[str, Guest] = {}
        self._lock = threading.Lock()
        self._sweeper: threading.Thread | None = None

    @contextmanager
    def of(self, entry: ClusterEntry) -> Any:
        """A guest of this cluster, that stays meanwhile."""
        with self._lock:
            guest = self._guests.get(entry.session_dir)
            if guest is None or guest.done:
                guest = self._guests[entry.session_dir] = Guest(entry)
            guest.looks += 1
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, name="raynb-guests", daemon=True)
                self._sweeper.start()
        try:
            yield guest
        finally:
            with self._lock:
                guest.looks -= 1
                guest.last_look = time.monotonic()

    def _sweep(self) -> None:
        """Let those leave that are done; ends with the last."""
        while True:
            time.sleep(SWEEP_S)
            with self._lock:
                done = [key for key, guest in self._guests.items() if guest.done and not guest.looks]
                leaving = [self._guests.pop(key) for key in done]
                last = not self._guests
                if last:
                    self._sweeper = None
            for guest in leaving:
                guest.close()
            if last:
                return

    def close(self) -> None:
        """All leave."""
        with self._lock:
            leaving, self._guests = list(self._guests.values()), {}
        for guest in leaving:
            guest.close()
