"""Runs what the executor machine holds: on the main thread one task after the other, or as an actor its calls.

Order of things around a task: its page is marked first, so that a death in it is its own; its results are told after
all references that it keeps; a late interrupt finds another task's id and does nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from raynb.runtime.adapters.worker_page import WorkerPage
from raynb.runtime.client import failure_news, log_records
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import EXECUTION, Execution, execution_of
from raynb.runtime.client.plane import Guard
from raynb.runtime.codec.functions import unpack_function
from raynb.runtime.core.bundle_names import cpus_of
from raynb.runtime.core.client_effects import Retried, Unhandled
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
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.messages import Config, Message
from raynb.runtime.messages.acts import TombstonesSeen
from raynb.runtime.messages.errors import RuntimeEnvSetupError
from raynb.runtime.messages.node import LeaveNode, StartActor, WorkerBlocked, WorkerRetires, WorkerUnblocked
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, Result, StreamAck, TasksDone, TasksReturned
from raynb.runtime.messages.values import Failed, Inline, Value
from raynb.runtime.messages.why import WhatRuns
from raynb.runtime.worker.arguments import Arguments, MissingDependency
from raynb.runtime.worker.breakpoints import Breakpoints
from raynb.runtime.worker.consumption import Consumption
from raynb.runtime.worker.environment import Environment
from raynb.runtime.worker.exits import exit_process
from raynb.runtime.worker.generators import runs_late
from raynb.runtime.worker.gpus import VisibleGpus
from raynb.runtime.worker.modules import ProjectModules
from raynb.runtime.worker.numeric_threads import threads
from raynb.runtime.worker.outcome import Outcome
from raynb.runtime.worker.output import OutputRouter
from raynb.runtime.worker.phases import stages
from raynb.runtime.worker.shown import ShownTask
from raynb.runtime.worker.what_runs import what_runs

FUNCTIONS_MAX = 1000
CANCELLED_MAX = 1000
CONTEXTS_MAX = 10_000
BRIEFLY_S = 0.005


class Run(NamedTuple):
    """A job that runs, since this time (wall-clock seconds)."""

    job: Job
    started: float
    execution: Execution


class Runner:
    """One worker's execution. `attach` gives it the client, then `serve` runs on the main thread until it is told to
    leave."""

    def __init__(self, config: Config, page: WorkerPage) -> None:
        self.config = config
        self.page = page
        self.machine = ExecutorMachine()
        self.shown = ShownTask()
        self.consumption = Consumption()
        self.client: Client
        self.output: OutputRouter
        self.outcome: Outcome
        self.arguments: Arguments
        self.breakpoints: Breakpoints
        self.leaving = False
        self.parting = ""
        """What the user's code has ended it by; empty: nothing."""
        self.alone = True
        """Whether one thread alone runs tasks here."""
        self._waiting = threading.Condition(threading.Lock())
        self.notify: Callable[[], None] | None = None
        """How an async actor's loop is told that there is work."""
        self._become: StartActor | None = None
        self._functions: OrderedDict[bytes, Callable[..., Any]] = OrderedDict()
        self._results: deque[tuple[str, Result]] = deque()
        self._flushed_at = 0.0
        self.recent: dict[bytes, Inline] = {}
        self._recent_bytes = 0
        self._cwd = ""
        self._context: ContextDef | None = None
        self._contexts_seen: set[tuple[bytes, str, int]] = set()
        self._modules = ProjectModules()
        self.environment = Environment()
        self.gpus = VisibleGpus()
        self._gives_way_at = 0.0
        """When its CPUs are for others, unless it goes on before."""
        self._interrupt = b""
        self._calls: dict[bytes, int] = {}
        """How often each function with a limit of calls has run here."""
        self.cancelled: set[bytes] = set()
        """Tasks that were not waiting any more when they were to be interrupted. One that has been taken, and runs none
        of the user's code yet, looks here."""
        self.running: dict[int, Run] = {}
        """What each thread runs, by thread id."""
        self._main = threading.main_thread().ident or 0
        self.interrupts: dict[bytes, Callable[[], None]] = {}
        """How to interrupt a call of an async actor, by task id."""
        self.awaited: dict[bytes, Run] = {}
        """The calls that an async actor runs, by task id."""

    def attach(self, client: Client, output: OutputRouter) -> None:
        self.client = client
        self.output = output
        self.arguments, self.outcome = stages(client, self)
        self.breakpoints = Breakpoints(client)
        self.breakpoints.install()
        client.host.turn_limit_s = self._turn_limit_s
        client.host.on_turn = self._on_turn
        # A worker that can't talk any more must not look alive.
        client.host.on_crash = lambda: os._exit(1)

    # -- in the I/O thread

    def on_message(self, sender: str, message: Message) -> None:
        """A message that is not for the client machine."""
        if isinstance(message, WhatRuns):
            self.client.host.transport.send(sender, what_runs(self, message))
        elif isinstance(message, StreamAck):
            self.consumption.told(sender, message)
        elif ExecutorMachine.concerns(message):
            if type(message) is PushTasks:
                self.arguments.prefetch(message, idle=not (self.machine.queue or self.running))
            self._perform(self.machine.handle(Received(sender, message), time.monotonic()))

    def on_blocked(self, blocked: bool, briefly: bool) -> None:
        """The task waits for others (or goes on). For a moment it keeps its CPUs: others would need a new process."""
        if blocked:
            self.flush()
            if briefly:
                self._gives_way_at = time.monotonic() + BRIEFLY_S
                return
        elif self._gives_way_at:
            self._gives_way_at = 0.0
            return
        self._tell_blocked(blocked)

    def _tell_blocked(self, blocked: bool) -> None:
        self.client.host.transport.send(self.client.node_manager, WorkerBlocked() if blocked else WorkerUnblocked())
        self._perform(self.machine.handle(SelfBlocked(blocked), time.monotonic()))

    def on_process_died(self, address: str) -> None:
        self.machine.forget(address)
        self.consumption.forget(address)

    def on_failure(self, found: Retried | Unhandled) -> None:
        """A task that a task has started failed, and is tried again, or nobody has looked at that."""
        if text := failure_news.text_of(found):
            print(text, file=sys.stderr)
            self.output.collect()  # no task may follow that would have it sent

    def _perform(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                if isinstance(effect.message, TasksDone | TasksReturned):
                    # After the results that are still here, in one order with them.
                    self.flush()
                self.client.post(Outgoing(effect.to, effect.message, guarded=True))
            elif isinstance(effect, Work):
                self.wake()
            elif isinstance(effect, Interrupt):
                self._on_interrupt(effect)
            elif isinstance(effect, TellRunning):
                self._tell_running(effect)
            elif isinstance(effect, BecomeActor):
                self._become = effect.start
                self.wake()
            elif isinstance(effect, Exit):
                self._on_exit(effect.force)

    def wake(self) -> None:
        """Have whoever waits for work look again; from any thread."""
        if self.notify is not None:
            self.notify()
        elif not self.alone:
            with self._waiting:
                self._waiting.notify(max(len(self.machine.queue), 1))

    def _on_exit(self, force: bool) -> None:
        if not force and not self.machine.is_actor and self.client.machine.needed:
            # Others want what it owns, or to be waited for: it stays.
            self.machine.exiting = False
            return
        self.leaving = True
        self.wake()
        if force:
            os._exit(0)

    def _on_interrupt(self, effect: Interrupt) -> None:
        # First: whoever begins to run it either is seen here, or sees this.
        if len(self.cancelled) >= CANCELLED_MAX:
            self.cancelled.clear()  # of tasks that are long over
        self.cancelled.add(effect.task_id)
        self.consumption.wake()
        if effect.recursive:
            self.client.machine.cancel_children(effect.task_id, time.monotonic())
        for run in self._runs():
            if run.job.spec.task_id == effect.task_id:
                run.execution.cancelled = True
        stop = self.interrupts.get(effect.task_id)
        if stop is not None:
            stop()
        elif effect.told_only:
            pass
        elif effect.force and any(run.job.spec.task_id == effect.task_id for run in list(self.running.values())):
            self.flush()  # results of earlier tasks are not lost with it
            self.client.last_words(LeaveNode(why="what it ran was ended by ray.cancel(force=True)"))
            self.client.host.transport.close()
            os._exit(1)
        elif self._runs_in_main(effect.task_id):
            self._interrupt = effect.task_id
            signal.pthread_kill(self._main, signal.SIGINT)

    def _runs(self) -> list[Run]:
        return [*list(self.running.values()), *list(self.awaited.values())]

    def _tell_running(self, effect: TellRunning) -> None:
        runs = {run.job.spec.task_id for run in self._runs()}
        seen = TombstonesSeen(effect.task_ids, [task_id for task_id in effect.task_ids if task_id in runs])
        self.client.host.transport.send(effect.to, seen)

    def _turn_limit_s(self) -> float | None:
        """While a batch runs, its first results must not wait for its last."""
        if self._gives_way_at:
            return min(max(self._gives_way_at - time.monotonic(), 0.0), self.config.result_flush_ms / 1000)
        if self._results or self.output.pending or self.outcome.generators.unsent:
            return self.config.result_flush_ms / 1000
        if self.machine.queue:
            return 0.005
        return None if self.running or self.awaited else self.shown.due_in_s(self._flushed_at)

    def _on_turn(self) -> None:
        self.client.on_turn()
        if self._gives_way_at and time.monotonic() >= self._gives_way_at:
            self._gives_way_at = 0.0
            self._tell_blocked(True)
        if self.outcome.generators.unsent:
            self.outcome.generators.flush()
        if self._results:
            self.flush(midway=True)
        elif self.running or self.output.pending:
            self.output.collect(midway=True)
        elif not (self.awaited or self._become) and self.shown.due_in_s(self._flushed_at) == 0.0:
            self.shown.rest()
            for run in self._runs():  # has begun just now, in another thread
                self.shown.runs(run.execution.name)

    # -- the main thread

    def serve(self) -> None:
        """Run tasks until told to leave."""
        signal.signal(signal.SIGINT, self._on_signal)
        while not self.leaving:
            job = self.take()
            if job is not None:
                self.run(job)
            elif self._become is not None:
                from raynb.runtime.worker.actor import ActorRunner

                ActorRunner(self, self._become).serve()
                return

    def take(self) -> Job | None:
        """The next task; waits for one. None when there is something else to do. Several threads may take."""
        queue = self.machine.queue
        while not self.leaving:
            try:
                return queue.popleft()
            except IndexError:
                pass
            if self._become is not None:
                return None
            if self.alone:
                # Nothing to run: this thread is the one that talks.
                self.client.host.drive(self._has_work, insist=True)
                if not self.client.host.alive:
                    return None
                continue
            with self._waiting:
                if not queue and self._become is None and not self.leaving:
                    self._waiting.wait()
        return None

    def _has_work(self) -> bool:
        return bool(self.machine.queue) or self._become is not None or self.leaving

    def wake_all(self) -> None:
        """Tell every waiting thread that this worker leaves."""
        with self._waiting:
            self._waiting.notify_all()

    def _on_signal(self, number: int, frame: Any) -> None:
        target, self._interrupt = self._interrupt, b""
        if target and self._runs_in_main(target):
            raise KeyboardInterrupt

    def _runs_in_main(self, task_id: bytes) -> bool:
        run = self.running.get(self._main)
        return run is not None and run.job.spec.task_id == task_id

    def run(self, job: Job) -> None:
        """Run one task and note its outcome. Nothing of the user's gets out of here."""
        spec = job.spec
        self.page.mark(job.lease, spec.seq, spec.task_id, spec.attempt)
        if self.machine.refused and spec.task_id in self.machine.refused:
            self.machine.refused.discard(spec.task_id)
            self.note(job.sender, refusal(job))
            return
        if job.context is not self._context:
            self.enter_context(job.context)
        if job.function.runtime_env != self.environment.text and (problem := self.set_up(job.function.runtime_env)):
            self.note(job.sender, Result(spec.seq, time.time(), 0.0, [problem]))
            return
        name = spec.name or job.function.name
        context = self.client.adopt_context(job.context)
        self.gpus.show(job.gpus)
        threads.follow(cpus_of(job.function.resources), self.environment.variables)
        execution = execution_of(job, context, name)
        self.client.root = execution  # threads that the task starts work for it, too
        token = EXECUTION.set(execution)
        self.output.begin(execution)
        guard = Guard() if spec.deps else None
        started = time.time()
        begin = time.perf_counter()
        thread = threading.get_ident()
        try:
            try:
                function = self.function(job.function)
                args, kwargs = self.arguments.of(job, guard)
                self.begin(thread, Run(job, started, execution))
                value = function(*args, **kwargs)
                # A generator's code runs only now.
                values = self.outcome.of_value(job, value) if runs_late(spec.num_returns, value) else None
            finally:
                self.running.pop(thread, None)
            if values is None:
                values = self.outcome.of_value(job, value)
            retryable = False
            value = args = kwargs = None  # type: ignore[assignment]
        except MissingDependency:
            self.client.post(Outgoing(job.sender, TasksReturned([spec.seq], "dependency"), guarded=True))
            EXECUTION.reset(token)
            return
        except SystemExit as error:
            exit_process(self, error)
        except BaseException as error:
            args = kwargs = None  # type: ignore[assignment]
            values, retryable = self.outcome.of_error(job, error, name)
        if self.breakpoints.active:
            self.breakpoints.task_ended(spec.task_id)
        duration = time.perf_counter() - begin
        EXECUTION.reset(token)
        if guard is not None:
            guard.release(self.client.host.inbox)
        if self.machine.queue:
            self._remember(spec.task_id, values)
        self.note(job.sender, Result(spec.seq, started, duration, values, retryable))
        if job.function.max_calls:
            self._count_call(job)

    def _count_call(self, job: Job) -> None:
        """A process runs a function ``max_calls`` times, and ends."""
        definition = job.function
        count = self._calls[definition.function_id] = self._calls.get(definition.function_id, 0) + 1
        if count < definition.max_calls or self.leaving:
            return
        self.client.post(Outgoing(self.client.node_manager, WorkerRetires(), guarded=True))
        # Also where nothing is given back: so that nothing more is sent here.
        self._perform([Send(job.sender, TasksReturned([], "exiting")), *self.machine.retire()])
        self.leaving = True
        self.wake()

    def begin(self, thread: int, run: Run) -> None:
        """A thread is about to run a task's code.

        Raises
        ------
        KeyboardInterrupt
            It was cancelled on its way here.
        """
        self.running[thread] = run
        self.shown.runs(run.execution.name)
        if self.cancelled and run.job.spec.task_id in self.cancelled:
            self.cancelled.discard(run.job.spec.task_id)
            raise KeyboardInterrupt

    def note(self, sender: str, result: Result) -> None:
        """Have a result sent: now, or with those that follow within a millisecond."""
        self._results.append((sender, result))
        now = time.monotonic()
        if not self.machine.queue or now - self._flushed_at > self.config.result_flush_ms / 1000:
            self.flush()

    def flush(self, *, midway: bool = False) -> None:
        """Send the results that have gathered, and before them what was written (see `OutputRouter.collect`)."""
        self._flushed_at = time.monotonic()
        self.output.collect(midway=midway)
        results = self._results
        batches: dict[str, list[Result]] = {}
        while results:
            try:
                sender, result = results.popleft()
            except IndexError:
                break
            batches.setdefault(sender, []).append(result)
        for sender, batch in batches.items():
            self.client.post(Outgoing(sender, TasksDone(batch), guarded=True))

    def _remember(self, task_id: bytes, values: list[Value]) -> None:
        """Keep small results for dependents that may stand in the queue already."""
        for index, value in enumerate(values, 1):
            if type(value) is Inline and value.buffers is None:
                self.recent[task_id + index.to_bytes(4, "little")] = value
                self._recent_bytes += len(value.data)
        while self._recent_bytes > self.config.worker_result_cache_bytes or len(self.recent) > 4096:
            oldest = next(iter(self.recent))
            self._recent_bytes -= len(self.recent.pop(oldest).data)

    # -- functions, arguments, jobs

    def function(self, definition: FunctionDef, what: str = "The remote function") -> Callable[..., Any]:
        """The function of a task; unpacked once."""
        function = self._functions.get(definition.function_id)
        if function is None:
            function = unpack_function(definition.blob, what)
            self._functions[definition.function_id] = function
            if len(self._functions) > FUNCTIONS_MAX:
                self._functions.popitem(last=False)
        return function

    def set_up(self, runtime_env: str) -> Failed | None:
        """Set up what a task is to find. Gives why it can't be; this worker then leaves, another may have more luck."""
        try:
            self.environment.enter(runtime_env)
        except RuntimeEnvSetupError as error:
            if not self.machine.queue:
                self.leaving = True
            return Failed("RuntimeEnvSetupError", error.error_message or "")
        self.client.runtime_env = runtime_env
        return None

    def enter_context(self, context: ContextDef) -> None:
        """Work for this context from now on: in the driver's folder, and with its modules, as they are now if this is
        new here."""
        if self._context is None or context.job != self._context.job:
            self.client.work_for(context.job)
            os.environ["RAY_JOB_ID"] = context.job.hex()
            log_records.follow(context.logging)
        self._context = context
        if context.cwd != self._cwd and not self.environment.folder:
            self._enter_folder(context.cwd)
        key = (context.job, context.cell, context.code)
        if key in self._contexts_seen:
            return
        if len(self._contexts_seen) >= CONTEXTS_MAX:
            self._contexts_seen.clear()
        self._contexts_seen.add(key)
        # The driver's modules can be imported here: Ray's programs rely on it.
        self._modules.install()
        for path in reversed(context.sys_path):
            if path and path not in sys.path:
                sys.path.insert(0, path)
        self.environment.first_on_path()
        if self._modules.refresh():
            # They refer to what was in the modules that are gone.
            self._functions.clear()

    def _enter_folder(self, folder: str) -> None:
        """Once for as long as tasks come from there: what a task has changed stays for those that follow."""
        self._cwd = folder
        if folder:
            try:
                os.chdir(folder)
            except OSError as error:
                print(f"raynb: can't enter the driver's working directory {folder}: {error}", file=sys.stderr)
