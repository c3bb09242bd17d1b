"""What a process does with the cluster it is connected to: submit, get, put, wait, cancel, ask."""

from __future__ import annotations

import os
import secrets
import threading
import time
from _thread import allocate_lock
from collections.abc import Callable, Sequence
from operator import attrgetter
from pickle import loads
from typing import TYPE_CHECKING, Any

import msgspec

from raynb.runtime.adapters.shared_memory import SegmentMap
from raynb.runtime.client import ready
from raynb.runtime.client.arguments import LargeArguments
from raynb.runtime.client.call_sites import Site, call_at, put_at, text_of
from raynb.runtime.client.execution import EXECUTION, Execution
from raynb.runtime.client.failures import timed_out, to_exception
from raynb.runtime.client.fetching import Fetching, ValuesLostError
from raynb.runtime.client.futures import Futures
from raynb.runtime.client.garbage import collect_soon
from raynb.runtime.client.host import ClientHost
from raynb.runtime.client.plane import Guard, ObjectPlane
from raynb.runtime.client.project import ProjectWatch
from raynb.runtime.client.refs import ObjectRef, ids_of, stale
from raynb.runtime.client.waits import Waits
from raynb.runtime.codec.calls import pack_call
from raynb.runtime.codec.kinds import kind_of, kind_of_packed
from raynb.runtime.codec.values import PICKLE, Packed, pack
from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.inbox import Answer, Ask, CancelObject, LostValue, Outgoing, PutValue, StopWaiting, WaitFor
from raynb.runtime.core.node_identity import session_dir_of
from raynb.runtime.core.streams import Stream
from raynb.runtime.core.task import Function, Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages import Message, checked, gcs
from raynb.runtime.messages.errors import GetTimeoutError, RaySystemError
from raynb.runtime.messages.ids import (
    FIRST_RETURN,
    ORIGIN_BYTES,
    PUT_INDEX_BASE,
    WORKER_ID_BYTES,
    object_id,
    task_id_source,
)
from raynb.runtime.messages.node import CollectGarbage, NodeJoined
from raynb.runtime.messages.objects import OwnerGone
from raynb.runtime.messages.tasks import ContextDef
from raynb.runtime.messages.transfers import EvictCopies, ObjectsFetched
from raynb.runtime.messages.values import Failed, Inline, Stored, Value, ValueKind

if TYPE_CHECKING:
    from raynb.runtime.adapters.transport import Transport

ID_OF = attrgetter("_id")

LOOK_S = 0.002
"""How long a call that must not wait gives the machine to look at what was said before."""

UPKEEP_S = 1.0

RECHECK_S = 1.0
"""A wake-up is a hint: whoever waits looks for itself this often."""

_PUT_SUFFIX = PUT_INDEX_BASE.to_bytes(4, "little")


class Client:
    """One process's part in a cluster.

    Parameters
    ----------
    joined
        The node manager's answer to `JoinNode`.
    root
        What threads work for that run no task.
    """

    def __init__(
        self,
        transport: Transport,
        joined: NodeJoined,
        node_manager: str,
        root: Execution,
        *,
        on_foreign: Callable[[str, Message], None],
        on_blocked: Callable[[bool, bool], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        on_process_died: Callable[[str], None] | None = None,
    ) -> None:
        self.address = transport.address
        self.joined = joined
        self.config = config = joined.config
        self.node_manager = node_manager
        self.gcs = joined.gcs
        self.root = root
        self.pid = os.getpid()
        self.worker_id = joined.worker_id or secrets.token_bytes(WORKER_ID_BYTES)
        self.work_for(root.context.job)
        self.machine = ClientMachine(
            config, self.address, node_manager, joined.gcs, wall_offset_s=time.time() - time.monotonic()
        )
        self.machine.rows.kind_of, self.machine.rows.site_of = kind_of_packed, text_of
        self.host = ClientHost(
            transport,
            self.machine,
            on_foreign=on_foreign,
            on_blocked=on_blocked,
            on_notice=on_notice,
            on_process_died=on_process_died,
        )
        self._upkeep_at = 0.0
        self.host.on_turn = self.on_turn
        self.host.on_received = self._on_received
        self.post = self.host.post
        self.drop: Callable[[bytes], object] = self.host.inbox.append
        self._entries = self.machine.objects.entries
        self.plane = ObjectPlane(
            config,
            node_manager,
            SegmentMap(joined.store_prefix, joined.spill_prefix),
            self.host.inbox,
            lambda to, message, late: self.ask(to, message, on_late=late),
            self._entries,
            self.machine.objects.freed.values,
            set(joined.dead_owners),
        )
        self.fetching = self.plane.fetching = Fetching(self)
        self._inline_limit = config.inline_limit_bytes
        # Large arguments go through the store, so that a batch of tasks isn't held up by their copies.
        self._large = LargeArguments(self.put_packed, config.inline_limit_bytes // 4)
        self._numbers = 0
        self._numbers_lock = threading.Lock()
        self._contexts: dict[tuple[bytes, str, str, str, int], ContextDef] = {}
        self.project: ProjectWatch | None = None
        """Of a driver."""
        self.summoned = False
        """While the main thread waits, it is to call ``interlude`` in between."""
        self.interlude: Callable[[], None] = lambda: None
        self.futures = Futures(self)
        self.functions: dict[tuple[bytes, bytes], Function] = {}
        self.gives_way = on_blocked is not None
        """Whether others may use this process's CPUs while it waits: so it is in a worker."""
        self.waits = Waits(self)
        self.actor_name, self.actor_restarts = "", 0
        self.runtime_env = ""  # of this process, as JSON: what its tasks and actors inherit

    def __repr__(self) -> str:
        return f"<Client {self.address}{'' if self.host.alive else ' stopped'}>"

    # -- on whose behalf

    def work_for(self, job: bytes) -> None:
        """Give ids of this job from now on."""
        self.next_task_id = task_id_source(secrets.token_bytes(ORIGIN_BYTES), job)

    def execution(self) -> Execution:
        """What the calling thread works for."""
        execution = EXECUTION.get()
        if execution is None:
            if self.project is not None:
                self.project.look()
            execution = self.root
        return execution

    def next_number(self) -> int:
        """A number for a function or a context, unique in this process."""
        with self._numbers_lock:
            self._numbers += 1
            return self._numbers

    def cells(self) -> list[str]:
        """Tokens of the notebook cells that this process has worked for, the oldest first."""
        return list(dict.fromkeys(cell for *_, cell, _ in list(self._contexts) if cell))

    def adopt_context(self, known: ContextDef) -> ContextDef:
        """A context, as it arrived from elsewhere say, under a number of this process's own."""
        key = (known.job, known.namespace, known.driver, known.cell, known.code)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = msgspec.structs.replace(known, number=self.next_number())
        return context

    # -- tasks

    def submit(
        self,
        function: Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        *,
        num_returns: int = 1,
        retries: int = 0,
        name: str = "",
        group: str = "",
        actor: Any = None,
        also: Sequence[ObjectRef[Any]] = (),
    ) -> list[ObjectRef[Any]]:
        """Submit a call; does not wait.

        Parameters
        ----------
        also
            References that the call needs beside its arguments (an actor's own).

        Raises
        ------
        SerializationError
            An argument can't be pickled; nothing was submitted.
        """
        packed, dependencies = pack_call(args, kwargs, ObjectRef)
        if packed.nbytes > self._inline_limit:
            args, kwargs = self._large.put_large(function.name, args, kwargs)
            packed, dependencies = pack_call(args, kwargs, ObjectRef)
        execution = self.execution()
        task_id = self.next_task_id()
        task = Task(task_id, function, packed.data, execution.context, num_returns, parent=execution.task_id)
        if packed.buffers is not None:
            task.buffers = [bytes(buffer) for buffer in packed.buffers]
        if dependencies:
            task.deps = ids_of(dependencies, self)
        if packed.refs or also:
            task.refs = [info.oid for info in packed.refs or ()] + ids_of(also, self)
        if self.config.record_call_sites:
            task.site = call_at()
        if retries:
            task.retries_left = retries
        if name:
            task.name = name
        if actor is not None:
            task.actor = actor
            task.group = group
        if num_returns < 0:
            self.post(Stream(task_id, paced=function.definition.backpressure > 0))
        self.post(task)
        if num_returns == 1 or num_returns < 0:
            return [ObjectRef(task_id + FIRST_RETURN, self.address, self.drop)]
        return [ObjectRef(object_id(task_id, i), self.address, self.drop) for i in range(1, num_returns + 1)]

    # -- objects

    def put(self, value: object) -> ObjectRef[Any]:
        """Make an object of a value, for whoever has called the caller."""
        packed = pack(value, "the put value")
        kind = kind_of(value) if packed.nbytes > self._inline_limit else None
        return self.put_packed(packed, type(value).__name__, kind, put_at(3))

    def put_packed(
        self, packed: Packed, note: str, kind: ValueKind | None = None, site: Site | None = None
    ) -> ObjectRef[Any]:
        oid = self.next_task_id() + _PUT_SUFFIX
        small = packed.nbytes <= self._inline_limit
        stored: Value = packed.inline() if small else self.plane.write(packed, oid, self.address, note, kind)
        self.post(PutValue(oid, stored, note, site or call_at()))
        return ObjectRef(oid, self.address, self.drop)

    def is_ready(self, ref: ObjectRef[Any]) -> bool:
        return self._settled([ref._id]) == 1

    def get(self, refs: Sequence[ObjectRef[Any]], timeout_s: float | None = None) -> list[Any]:
        """The values of objects, in order.

        Raises
        ------
        GetTimeoutError
            Some were not there in time; the message names them.
        Exception
            What made the first failed one fail.
        """
        __tracebackhide__ = True
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                return self._get(refs, timeout_s, deadline)
            except ValuesLostError as error:
                for lost in error.lost:
                    self.post(LostValue(lost, error.why))
                # Its machine has looked at that when it looks at this.
                self.wait_for([lost.oid for lost in error.lost], len(error.lost), timeout_s)

    def _get(self, refs: Sequence[ObjectRef[Any]], timeout_s: float | None, deadline: float | None) -> list[Any]:
        __tracebackhide__ = True
        known = self._entries.get
        found = list(map(known, map(ID_OF, refs)))
        missing = [ref._id for ref, entry in zip(refs, found, strict=True) if entry is None or entry.value is None]
        while missing:
            if (failed := self.machine.objects.unhandled.saw_all(found)) is not None:
                self.load(failed)  # raises: the others are not waited for
            self._wait_all(refs, missing, timeout_s)
            found = list(map(known, map(ID_OF, refs)))
            # Rarely, again: a reference may have been let go and come back in between, and its value with it.
            missing = [ref._id for ref, entry in zip(refs, found, strict=True) if entry and entry.value is None]
        values: list[Any] = []
        for entry, ref in zip(found, refs, strict=True):
            if entry is None:
                stale(ref)
            value = entry.value
            # Most values are small, and there may be very many.
            if type(value) is Inline and value.data[0] == PICKLE and value.refs is None:
                try:
                    values.append(loads(value.data, buffers=value.buffers))
                    continue
                except Exception:
                    pass  # `load` says what is wrong with it
            elif type(value) is Failed:
                self.machine.objects.unhandled.saw_all(found)
            if type(value) is Stored and value.node != self.node_manager:
                rest = [None if entry is None else entry.value for entry in found[len(values) :]]
                return values + self.fetching.load(rest, deadline)
            values.append(self.load(value))
        return values

    def load(self, value: Value | None, guard: Guard | None = None) -> Any:
        """A value that has arrived, as an object; raises what a failed one stands for."""
        __tracebackhide__ = True
        if value is None:
            raise RaySystemError("a value was expected that has not arrived")
        if isinstance(value, Failed):
            self.machine.objects.unhandled.saw(value)
            raise to_exception(value)
        return self.plane.read(value, guard)

    def _wait_all(self, refs: Sequence[ObjectRef[Any]], missing: list[bytes], timeout_s: float | None) -> None:
        __tracebackhide__ = True
        with self.waits.of(refs, timeout_s):
            settled = self.wait_for(missing, len(missing), timeout_s, fails_fast=True)
        if not settled and (late := [ref for ref in refs if not self.is_ready(ref)]):
            raise timed_out(late, timeout_s)

    def wait_for(self, oids: list[bytes], needed: int, timeout_s: float | None, *, fails_fast: bool = False) -> bool:
        """Block until ``needed`` of these objects have settled, or one has failed, where that is enough.

        False if the time is over before.
        """
        __tracebackhide__ = True
        lock = allocate_lock()
        lock.acquire()
        waiter = Waiter(needed, lock.release, fails_fast=fails_fast)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self.host.inbox.append(WaitFor(waiter, oids, self.gives_way))
        try:
            enough = self.host.drive(lambda: waiter.needed <= 0 or self.summoned or self.waits.broken, deadline)
            if enough and waiter.needed <= 0:
                return True
            # Another thread drives, and wakes this one.
            self.host.nudge()
            while True:
                if self.summoned and threading.current_thread() is threading.main_thread():
                    self.summoned = False
                    self.interlude()
                self.waits.check()
                left = RECHECK_S if deadline is None else min(RECHECK_S, max(deadline - time.monotonic(), 0.0))
                if lock.acquire(timeout=left):
                    return True
                if waiter.needed <= 0 or self._settled(oids) >= needed:
                    return True
                if not self.host.alive:
                    raise RaySystemError("raynb was shut down while this call waited")
                if deadline is not None and time.monotonic() >= deadline:
                    if waiter.seen:
                        return False
                    # What was said before this call must count: the machine has not looked yet.
                    deadline = time.monotonic() + LOOK_S
        finally:
            if self.gives_way or waiter.needed > 0 or needed < len(oids) or waiter.early:
                self.post(StopWaiting(waiter, oids))

    def _settled(self, oids: list[bytes]) -> int:
        entries = self._entries
        return sum(1 for oid in oids if (entry := entries.get(oid)) is not None and entry.value is not None)

    def wait(
        self, refs: Sequence[ObjectRef[Any]], num_returns: int, timeout_s: float | None, *, fetch_local: bool = True
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Ray's ``wait``: (ready, not ready), each in the order of ``refs``; at most ``num_returns`` are ready.

        With ``fetch_local`` an object is ready when it can be read on this node.
        """
        __tracebackhide__ = True
        return ready.wait(self, refs, num_returns, timeout_s, fetch_local=fetch_local)

    def cancel(self, ref: ObjectRef[Any], *, force: bool, recursive: bool) -> None:
        self.post(CancelObject(ref._id, ref._owner, force, recursive))

    def call_site_of(self, oid: bytes) -> str:
        if (entry := self._entries.get(oid)) is None or entry.site is None:
            return entry.function.call_site if entry is not None and entry.function is not None else ""
        return text_of(entry.site)

    # -- requests

    def ask(
        self,
        to: str,
        message: Message,
        timeout_s: float | None = None,
        on_late: Callable[[Message], None] | None = None,
    ) -> Message:
        """Send a request and wait for its answer.

        Raises
        ------
        GetTimeoutError
            No answer came in time (by default it is waited for as long as the cluster lives).
        """
        lock = allocate_lock()
        lock.acquire()
        answer = Answer(Waiter(1, lock.release))
        self.post(Ask(to, message, answer))
        try:
            return self.wait_for_answer(answer, lock, timeout_s)
        except BaseException:
            if on_late is not None:
                answer.waiter.wake = lambda: answer.reply is not None and on_late(answer.reply)
                if answer.reply is not None:
                    on_late(answer.reply)
            raise

    def wait_for_answer(self, answer: Answer, lock: Any, timeout_s: float | None = None) -> Message:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not lock.acquire(timeout=RECHECK_S) and answer.reply is None:
            if not self.host.alive:
                raise RaySystemError("raynb was shut down while this call waited")
            if deadline is not None and time.monotonic() > deadline:
                raise GetTimeoutError(f"no answer within {timeout_s} s")
        assert answer.reply is not None
        return answer.reply

    def request(self, to: str, message: Message, timeout_s: float | None = None) -> bytes:
        """`ask`, for messages that are answered by a `Reply`: its data; raises its error."""
        reply = self.ask(to, checked(message), timeout_s)
        assert isinstance(reply, gcs.Reply), reply
        if reply.error is not None:
            raise to_exception(reply.error)
        return reply.data

    def send(self, to: str, message: Message) -> None:
        self.post(Outgoing(to, message))

    @property
    def session_dir(self) -> str:
        return session_dir_of(self.address)

    def flush_events(self) -> None:
        """Have what has happened so far told to the event hub; a query sent afterwards sees it."""

        def flush() -> None:
            now = time.monotonic()
            self.host.read_inbox(now)  # what was submitted just before has happened, too
            self.machine.flush_events(now)
            self.host.tick(now)

        self.host.run(flush, RECHECK_S)

    # -- in the seat

    def _on_received(self, received: list[tuple[str, Message]]) -> None:
        for sender, message in received:
            look = _LOOKED_AT.get(type(message))
            if look is not None:
                look(self, sender, message)

    def on_turn(self) -> None:
        """About once a second: what is no longer used goes back."""
        now = time.monotonic()
        if now - self._upkeep_at > UPKEEP_S:
            self._upkeep_at = now
            self.plane.idle()

    # -- the end

    def stop(self, last_message: Message | None = None) -> None:
        """Leave the cluster: say so, and end the I/O thread. References become inert."""
        if os.getpid() != self.pid:
            return
        self.plane.close()
        self.host.stop(lambda: self.last_words(last_message))
        self.futures.close()

    def last_words(self, last_message: Message | None = None) -> None:
        """Say what is left to say. In the seat."""
        now = time.monotonic()
        self.host.read_inbox(now)
        self.machine.flush_events(now)
        self.host.tick(now)
        if last_message is not None:
            self.host.transport.send(self.node_manager, last_message)


_LOOKED_AT: dict[type, Callable[[Client, str, Any], None]] = {
    OwnerGone: lambda client, sender, message: client.plane.owner_died(message.owner),
    ObjectsFetched: lambda client, sender, message: client.fetching.answered(message),
    EvictCopies: lambda client, sender, message: client.plane.copies_asked(sender, message),
    CollectGarbage: lambda client, sender, message: collect_soon(),
}
"""What is done about messages before the machine handles them."""
