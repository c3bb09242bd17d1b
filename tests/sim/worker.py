"""A simulated worker: what `raynb.runtime.worker.runner` does with the executor machine's effects.

Threads take tasks from the queue by themselves; everything that touches a machine happens in the I/O thread's turns.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.effects import Received, Send
from raynb.runtime.core.executor import (
    BecomeActor,
    ExecutorMachine,
    Exit,
    Interrupt,
    Job,
    SelfBlocked,
    TellRunning,
    Work,
    refusal,
)
from raynb.runtime.core.inbox import HandOff, Outgoing
from raynb.runtime.core.streams import FIRST_ITEM_INDEX
from raynb.runtime.core.task import STREAMING
from raynb.runtime.messages import Message
from raynb.runtime.messages.acts import Tombstones, TombstonesSeen
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.node import LeaveNode, StartActor, WorkerBlocked, WorkerUnblocked
from raynb.runtime.messages.tasks import PushTasks, Result, StreamAck, StreamItems, TasksDone, TasksReturned
from raynb.runtime.messages.values import Failed, Inline, Value
from tests.sim import calls
from tests.sim.arguments import Arguments
from tests.sim.calls import Execution
from tests.sim.client import Pin, SimClient
from tests.sim.interpreter import Frame, Kept
from tests.sim.outcomes import Interrupted, MissingDependency, RemoteError, StoreFull, UserError
from tests.sim.threads import Pause, Signal, Steps, Thread
from tests.sim.values import CallContent, Ref, decode_call, describe, number
from tests.sim.workload import Returned

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.node import SimNode

STREAM_BATCH_MAX = 3
LAST_WORDS_S = 2.0


class Consumption:
    """How much of the paced generators that run here was taken: see `raynb.runtime.worker.consumption`."""

    def __init__(self) -> None:
        self.changed = Signal()
        self._taken: dict[tuple[str, int], float] = {}
        self._gone: set[tuple[str, int]] = set()

    def begin(self, job: Job) -> None:
        self._taken[job.sender, job.spec.seq] = 0

    def end(self, job: Job) -> None:
        self._taken.pop((job.sender, job.spec.seq), None)

    def told(self, sender: str, message: StreamAck) -> None:
        push = (sender, message.seq)
        if push in self._taken:
            self._taken[push] = math.inf if message.closed else max(self._taken[push], message.consumed)
            self.changed.notify()

    def forget(self, sender: str) -> None:
        """Whoever has called is dead: its generators are to end."""
        self._gone.update(push for push in self._taken if push[0] == sender)
        self.changed.notify()

    def may_go_on(self, job: Job, sent: int) -> bool:
        """Whether another item may be made."""
        push = (job.sender, job.spec.seq)
        if push in self._gone:
            raise Interrupted
        return sent - self._taken[push] < job.function.backpressure


class SimWorker(SimClient):
    """One worker process."""

    kind = "worker"
    gives_way = True

    def __init__(self, cluster: Cluster, node: SimNode, address: str, token: str) -> None:
        super().__init__(cluster, node, address, token, bytes(4), "")
        self.executor = ExecutorMachine()
        self.page = (0, 0)
        """Lease and seq of the task marked last."""
        self.marked = b""
        """Its id."""
        self.leaving = False
        self.work = Signal()
        self.running: dict[Thread, bytes] = {}
        self.start: StartActor | None = None
        """The actor that it is to become."""
        self.is_actor = False
        self.cancelled: set[bytes] = set()
        """Tasks that had been taken when they were to be interrupted: who runs no code of the user's yet looks here."""
        self.consumption = Consumption()
        self.kept = Kept()
        """What its actor keeps."""
        self._results: deque[tuple[str, Result]] = deque()
        self._flushed_at = 0.0
        self.recent: dict[bytes, Inline] = {}
        self._recent_bytes = 0
        self.arguments = Arguments(self)
        self.on_turn = self._after_turn
        self.turn_limit_s = self._turn_limit

    def begin(self) -> None:
        early, self._arrived = self._arrived, deque()
        for sender, message in early:
            self._arrived.append((sender, message))
        self.start_thread("main", self._serve())

    # -- in the I/O thread

    def on_foreign(self, sender: str, message: Message) -> None:
        if isinstance(message, Tombstones):
            self.oracle.told_of_tombstones(self.address, message.task_ids)
        if isinstance(message, StreamAck):
            self.consumption.told(sender, message)
        if ExecutorMachine.concerns(message):
            if isinstance(message, PushTasks):
                self.arguments.prefetch(message, idle=not (self.executor.queue or self.running))
            self.execute(Received(sender, message))

    def execute(self, event: Received | SelfBlocked) -> None:
        """Give the executor machine an event."""
        effects = self.executor.handle(event, self.world.now)
        self.executor.check()
        self._perform(effects)

    def on_blocked(self, blocked: bool) -> None:
        if blocked:
            self.flush()
        self._transport_send(self.node.address, WorkerBlocked() if blocked else WorkerUnblocked())
        self.execute(SelfBlocked(blocked))

    def on_process_died(self, address: str) -> None:
        self.executor.forget(address)
        self.consumption.forget(address)

    def _perform(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                if isinstance(effect.message, TasksDone | TasksReturned):
                    self.flush()
                self.post(Outgoing(effect.to, effect.message, guarded=True))
            elif isinstance(effect, Work):
                self.work.notify()
            elif isinstance(effect, Interrupt):
                self._on_interrupt(effect)
            elif isinstance(effect, TellRunning):
                running = [task_id for task_id in effect.task_ids if task_id in self.running.values()]
                self._transport_send(effect.to, TombstonesSeen(effect.task_ids, running))
            elif isinstance(effect, BecomeActor):
                self.start = effect.start
                self.work.notify()
            elif isinstance(effect, Exit):
                self._on_exit(effect.force)
            else:
                raise AssertionError(f"no host for the effect {effect!r}")

    def _on_exit(self, force: bool) -> None:
        if not force and not self.is_actor and (self.machine.needed or self.running or self._results):
            # Others may still want what it owns, or what it is about to say.
            self.executor.exiting = False
            return
        self.leaving = True
        self.work.notify()
        if force:
            self.cluster.ended(self, "exited", orderly=False)

    def _on_interrupt(self, effect: Interrupt) -> None:
        self.cancelled.add(effect.task_id)
        self.consumption.changed.notify()
        if effect.recursive:
            self.machine.cancel_children(effect.task_id, self.world.now)
        for thread, task_id in self.running.items():
            if task_id != effect.task_id:
                continue
            if effect.force:
                self.flush()
                self.start_thread("end", self._end(None))
            else:
                self.world.after(self.world.soon(), self._signal, thread, task_id)
            return

    def _signal(self, thread: Thread, task_id: bytes) -> None:
        if self.alive and self.running.get(thread) == task_id:
            thread.interrupt(Interrupted())

    def _turn_limit(self) -> float | None:
        if self._results:
            return self.config.result_flush_ms / 1000
        return 0.005 if self.executor.queue else None

    def _after_turn(self) -> None:
        if self._results:
            self.flush()
        self._upkeep()

    # -- the main thread

    def _serve(self) -> Steps:
        from tests.sim.actor import serve_actor

        while not self.leaving:
            job = yield from self.take()
            if job is not None:
                yield from self.run(job)
            elif self.start is not None:
                start, self.start = self.start, None
                self.is_actor = True
                yield from serve_actor(self, start)
                break
        self.flush()
        yield from self._end(LeaveNode())

    def _end(self, goodbye: Message | None) -> Steps:
        """Leave when all is said, or after a while; in an orderly way when what it has submitted is over, too."""
        yield Pause()
        if goodbye is not None and self.machine.unfinished:
            self._transport_send(self.node.address, WorkerBlocked())
            while self.machine.unfinished:
                yield Pause(0.005)
        until = self.world.now + LAST_WORDS_S
        while self.machine.unsaid and self.world.now < until:
            yield Pause(0.005)
        self.leave(goodbye)

    def take(self) -> Steps:
        """The next task; None when there is something else to do."""
        queue = self.executor.queue
        while not self.leaving:
            if queue:
                job = queue.popleft()
                yield Pause()
                return job
            if self.start is not None and not self.is_actor:
                return None
            yield self.work
        return None

    def mark(self, job: Job) -> None:
        """Write into the page what starts next."""
        self.page = (0 if self.is_actor else job.lease, job.spec.seq)
        self.marked = job.spec.task_id
        self.oracle.marked(self, job)

    def run(self, job: Job) -> Steps:
        """Run one task and note its outcome."""
        spec = job.spec
        self.mark(job)
        if spec.task_id in self.executor.refused:
            self.executor.refused.discard(spec.task_id)
            self.note(job.sender, refusal(job))
            return
        guard: list[Pin] = []
        begin = self.world.now
        frame: Frame | None = None
        thread = self.threads[0]
        try:
            call = self.opened(job)
            execution = Execution(self.adopt_context(job.context), spec.task_id, call.depth)
            frame = Frame(self, execution, call.label, patient=False)
            yield from self.arguments.of(job, call, frame, guard)
            values = yield from self.body(job, call, frame, thread)
            retryable = False
        except MissingDependency:
            if frame is not None:
                frame.let_go()
            self.post(Outgoing(job.sender, TasksReturned([spec.seq], "dependency"), guarded=True))
            return
        except (UserError, StoreFull, RemoteError, Interrupted) as error:
            values, retryable = self.of_error(job, error)
        if frame is not None:
            frame.let_go()
        self.release(guard)
        if self.executor.queue:
            self._remember(spec.task_id, values)
        self.note(job.sender, Result(spec.seq, begin, self.world.now - begin, values, retryable))

    def opened(self, job: Job) -> CallContent:
        """The call inside a task: it must be of the function that it came with."""
        call = decode_call(job.spec.args)
        self.oracle.check_function(job, call)
        return call

    def body(self, job: Job, call: CallContent, frame: Frame, thread: Thread) -> Steps:
        """The user's code, and the values of what it returns."""
        remote = self.cluster.plan.functions[call.function]
        if job.spec.task_id in self.cancelled:  # on its way here
            self.cancelled.discard(job.spec.task_id)
            raise Interrupted
        self.oracle.started(self, job, call)
        self.running[thread] = job.spec.task_id
        try:
            yield from frame.run(remote.body)
            if remote.raises == "always" or (remote.raises == "first" and job.spec.attempt == 0):
                raise UserError
            if remote.num_returns == STREAMING:
                return (yield from self._stream(job, call, frame))
            if remote.gap_s:
                yield Pause(remote.gap_s)
        finally:
            self.running.pop(thread, None)
        self.oracle.ran(self, job)
        values: list[Value] = []
        for index in range(1, remote.num_returns + 1):
            returned = remote.returned[(index - 1) % len(remote.returned)]
            try:
                values.append((yield from self._pack(job, call.label, index, returned, frame)))
            except (StoreFull, RemoteError) as error:
                if remote.num_returns == 1:
                    raise
                values.append(self.of_error(job, error)[0][0])
        return values

    def _pack(self, job: Job, label: int, index: int, returned: Returned, frame: Frame) -> Steps:
        contains: list[Ref] = frame.pick_any(returned.contains)
        _, infos = describe(contains)
        oid = object_id(job.spec.task_id, index)
        self.oracle.expect(oid, number(label, index))
        value = yield from calls.pack_value(self, oid, job.sender, number(label, index), returned.size, contains)
        if infos:
            self.post(HandOff(job.sender, job.spec.seq, infos))
        return value

    def _stream(self, job: Job, call: CallContent, frame: Frame) -> Steps:
        remote = self.cluster.plan.functions[call.function]
        values: list[Value] = []
        sent = 0
        if remote.backpressure:
            self.consumption.begin(job)
        try:
            for item, returned in enumerate(remote.returned):
                if remote.gap_s:
                    yield Pause(remote.gap_s)
                values.append((yield from self._pack(job, call.label, item + FIRST_ITEM_INDEX, returned, frame)))
                self.oracle.item_made(job.spec.task_id, item)
                if remote.backpressure:
                    sent = self._send_items(job, sent, values)
                    while not self.consumption.may_go_on(job, sent):
                        if job.spec.task_id in self.cancelled:
                            raise Interrupted
                        yield self.consumption.changed
                elif len(values) >= STREAM_BATCH_MAX or self.world.rng.random() < 0.5:
                    sent = self._send_items(job, sent, values)
        finally:
            self.consumption.end(job)
            sent = self._send_items(job, sent, values)
        oid = object_id(job.spec.task_id, 1)
        token = number(call.label, 1)
        return [(yield from calls.pack_value(self, oid, job.sender, token, 8, []))]

    def _send_items(self, job: Job, sent: int, values: list[Value]) -> int:
        if values:
            self.post(Outgoing(job.sender, StreamItems(job.spec.seq, sent, list(values)), guarded=True))
            sent += len(values)
            values.clear()
        return sent

    def of_error(self, job: Job, error: BaseException) -> tuple[list[Value], bool]:
        """What a task that raised gives, and whether it may be retried."""
        if isinstance(error, Interrupted):
            return [Failed("TaskCancelledError", "it was cancelled while it ran")], False
        retryable = isinstance(error, UserError) and bool(job.function.retry_exceptions)
        return [Failed("RayTaskError", type(error).__name__)], retryable

    def release(self, guard: list[Pin]) -> None:
        """The task is over: what still is viewed must be counted before its submitter lets go."""
        for pin in guard:
            if pin.held:
                pin.count()
            self.guarded.discard(pin)

    def note(self, sender: str, result: Result) -> None:
        """Have a result sent: now, or with those that follow."""
        self._results.append((sender, result))
        now = self.world.now
        if not self.executor.queue or now - self._flushed_at > self.config.result_flush_ms / 1000:
            self.flush()

    def flush(self) -> None:
        """Send the results that have gathered."""
        self._flushed_at = self.world.now
        batches: dict[str, list[Result]] = {}
        while self._results:
            sender, result = self._results.popleft()
            batches.setdefault(sender, []).append(result)
        for sender, batch in batches.items():
            self.post(Outgoing(sender, TasksDone(batch), guarded=True))

    def _remember(self, task_id: bytes, values: list[Value]) -> None:
        for index, value in enumerate(values, 1):
            if type(value) is Inline and value.buffers is None:
                self.recent[object_id(task_id, index)] = value
                self._recent_bytes += len(value.data)
        while self._recent_bytes > self.config.worker_result_cache_bytes:
            oldest = next(iter(self.recent))
            self._recent_bytes -= len(self.recent.pop(oldest).data)
