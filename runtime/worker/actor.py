"""A worker that has become an actor: constructs it, then serves calls - in order, in threads, or in an event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Final

import msgspec

from raynb.runtime.client import refs
from raynb.runtime.client.execution import EXECUTION, Execution
from raynb.runtime.client.failures import NO_INPUT, format_remote
from raynb.runtime.client.plane import Guard
from raynb.runtime.codec.actor_class import is_async, method_of
from raynb.runtime.codec.calls import unpack_call
from raynb.runtime.core.bundle_names import cpus_of
from raynb.runtime.core.executor import Job, refusal
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.core.task import STREAMING
from raynb.runtime.messages.errors import RayTaskError
from raynb.runtime.messages.gcs import ActorProcess, ActorStarted, KillActor
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import Result
from raynb.runtime.messages.values import Failed, Value, about_actor
from raynb.runtime.worker.arguments import MissingDependency
from raynb.runtime.worker.exits import die_of_sigterm, exit_process
from raynb.runtime.worker.generators import runs_late
from raynb.runtime.worker.groups import LoopGroups, ThreadGroups
from raynb.runtime.worker.numeric_threads import threads
from raynb.runtime.worker.runner import Run, Runner

ASYNC_CONCURRENCY = 1000
"""Calls that an async actor runs at once, unless it says otherwise (Ray's default)."""


EXIT_ACTOR = "exit_actor() is called"
EXIT_0 = "it exits with an exit code 0"
ENDS: Final[list[Value]] = []
"""In the place of the outcome of a call that ends the actor."""


class ActorExit(BaseException):
    """Raised by ``exit_actor``: the actor wants to end."""


class ActorSystemExit(ActorExit, SystemExit):
    """The same where no event loop runs: a thread of the actor's own ends by it without a word. (A loop would end.)"""


_asked_to_end = threading.Event()
"""`exit_actor` was called, in whatever thread of this process."""

FAILED_CONSTRUCTOR = "its actor's constructor failed: there was an exception in the initialization method"


class ActorRunner:
    """Serves one actor until its worker leaves."""

    def __init__(self, runner: Runner, start: StartActor) -> None:
        self.runner = runner
        self.start = start
        self.instance: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Of an async actor; its constructor may use it already."""
        self._open: set[bytes] = set()
        """Calls that run, by task, but for those that have asked to end the actor."""
        self._open_lock = threading.Lock()
        self._ended = False
        self._pid = os.getpid()
        self._terminated = False
        """It was sent SIGTERM."""
        self._concurrent = False
        self._clean = False

    # -- construction

    def serve(self) -> None:
        """Construct the actor, tell the GCS, serve."""
        runner, start = self.runner, self.start
        began, begin = time.time(), time.perf_counter()
        failure = self._construct()
        took_s = time.perf_counter() - begin
        client = runner.client
        at_once = start.max_concurrency or (ASYNC_CONCURRENCY if self._loop is not None else 1)
        started = ActorStarted(
            start.actor_id,
            start.incarnation,
            client.address,
            os.getpid(),
            client.joined.node_id,
            failure,
            self._repr() if failure is None else "",
            ActorProcess(client.worker_id, client.joined.node_id, os.getpid(), began, took_s, at_once),
        )
        if failure is not None:
            runner.output.collect()  # before the GCS hears of it, and has this process ended
        client.post(Outgoing(client.gcs, started, guarded=True))
        runner.machine.started = (client.gcs, started)  # said again if it is asked again
        if failure is not None:
            # Until the GCS knows why: it must not hear of this process's end before.
            while client.host.alive and not runner.leaving:
                client.host.drive(lambda: runner.leaving, insist=True)
            runner.machine.exiting = False  # what it owns ends with it; what was submitted here is still waited for
            runner.parting = EXIT_ACTOR if _asked_to_end.is_set() else FAILED_CONSTRUCTOR
            return
        runner.output.actor = started.repr_name or start.cls.name
        runner._become = None
        self._concurrent = self._loop is not None or bool(start.groups) or at_once > 1
        if self._concurrent or hasattr(self.instance, "__ray_shutdown__"):
            signal.signal(signal.SIGTERM, self._on_sigterm)
        if self._loop is not None:
            LoopGroups(runner, at_once, start.groups, self._call_async, self._clean_up).serve(self._loop)
        elif start.groups:
            ThreadGroups(runner, at_once, start.groups, self.call).serve()
        else:
            self._serve_threads(at_once)
        self._clean_up()
        if self._terminated:
            die_of_sigterm(runner)

    def _construct(self) -> Failed | None:
        runner, start = self.runner, self.start
        runner.enter_context(start.context)
        if start.runtime_env and (problem := runner.set_up(start.runtime_env)):
            return problem
        runner.gpus.show(start.gpus)
        threads.follow(cpus_of(start.resources), runner.environment.variables)
        runner.output.actor = start.cls.name
        runner.client.actor_name = start.name
        runner.client.actor_restarts = start.incarnation
        context = runner.client.adopt_context(start.context)
        name = f"{start.cls.name}.__init__"
        # The actor's own threads work for it, too: there is nobody else in this process.
        runner.client.root = Execution(
            context, start.task_id, start.cls.name, start.actor_id, start.cls.name, start.resources,
            captures=start.cls.captures, module=start.cls.module, gpus=start.gpus,
        )  # fmt: skip
        execution = msgspec.structs.replace(runner.client.root, name=name, function=name)
        token = EXECUTION.set(execution)
        runner.output.begin(execution)
        runner.shown.is_actor(start.cls.name)
        runner.shown.runs(name)
        guard = Guard()
        failed = ""
        try:
            cls: Any = runner.function(start.cls, f"The actor with name {start.cls.name}")
            if is_async(cls):
                self._loop = asyncio.new_event_loop()
                asyncio.set_event_loop(self._loop)
            # They may have been freed since the order was given: its creator may have died, or ended it.
            failed = NO_INPUT
            values = [runner.arguments.ask_owner(dep) for dep in start.deps or ()]
            failed = ""
            args, kwargs = unpack_call(start.args, start.buffers, values)
            self.instance = self._new(cls, args, kwargs)
            return None
        except ActorExit:
            said = f"The actor is dead because it has ended itself: {EXIT_ACTOR}. Worker exit type: INTENDED_USER_EXIT"
            return Failed("ActorDiedError", said, actor=start.actor_id)
        except BaseException as error:
            raised = RayTaskError(name, failed + format_remote(error), None, pid=os.getpid(), **self._origin())
            said = f"The actor died because of an error raised in its creation task, {raised}"
            # Perhaps nobody ever calls it.
            print(f"Exception raised in creation task: {said}", file=sys.stderr)
            return Failed("ActorDiedError", said, actor=start.actor_id, constructor=True)
        finally:
            args = kwargs = values = None  # type: ignore[assignment]
            if runner.breakpoints.active:
                runner.breakpoints.task_ended(start.task_id)
            guard.release(runner.client.host.inbox)
            EXECUTION.reset(token)

    def _new(self, cls: Any, args: Any, kwargs: Any) -> Any:
        """An instance. That of an async actor is made in its loop: its constructor may be one of its coroutines."""
        if self._loop is None:
            return cls(*args, **kwargs)

        async def new() -> tuple[Any, BaseException | None]:
            try:
                if not inspect.iscoroutinefunction(cls.__init__):
                    return cls(*args, **kwargs), None
                instance = cls.__new__(cls, *args, **kwargs)
                await instance.__init__(*args, **kwargs)
            except BaseException as error:  # raised outside, where the loop is not in its traceback
                return None, error
            return instance, None

        instance, error = self._loop.run_until_complete(new())
        if error is not None:
            raise error
        return instance

    def _repr(self) -> str:
        described: Any = type(self.instance).__repr__
        if self.instance is None or described is object.__repr__:
            return ""
        try:
            return repr(self.instance)[:200]
        except Exception:
            return ""

    # -- calls in order, or in threads

    def _serve_threads(self, count: int) -> None:
        self.runner.alone = count == 1
        threads = [
            threading.Thread(target=self._serve_thread, name=f"raynb-actor-{i}", daemon=True) for i in range(1, count)
        ]
        for thread in threads:
            thread.start()
        self._serve_thread()

    def _serve_thread(self) -> None:
        while not self.runner.leaving:
            job = self.runner.take()
            if job is not None:
                self.call(job)
        self.runner.wake_all()

    def call(self, job: Job) -> None:
        """Run one call on this thread."""
        runner, spec = self.runner, job.spec
        runner.page.mark(0, spec.seq, spec.task_id, spec.attempt)
        if self._refused(job):
            return
        started, begin = time.time(), time.perf_counter()
        guard = Guard() if spec.deps else None
        execution = self._execution(job)
        token = EXECUTION.set(execution)
        runner.output.begin(execution)
        thread = threading.get_ident()
        values: list[Value] | None
        try:
            try:
                self._begin(job)
                method = self._method(job)
                args, kwargs = runner.arguments.of(job, guard)
                runner.begin(thread, Run(job, started, execution))
                value = method(*args, **kwargs)
                values = runner.outcome.of_value(job, value) if runs_late(spec.num_returns, value) else None
            finally:
                runner.running.pop(thread, None)
            if values is None:
                values = runner.outcome.of_value(job, value)
            retryable = False
            value = args = kwargs = None  # type: ignore[assignment]
            if execution.cancelled:  # it was told, and has ended by itself
                name = f"{self.start.cls.name}.{job.function.name}"
                values = [Failed("TaskCancelledError", f"{name} was cancelled while it ran")]
            elif execution.exits and execution.exits[0] == thread:
                raise ActorExit  # although the method has caught it
        except BaseException as error:
            args = kwargs = None  # type: ignore[assignment]
            values, retryable = self._of_error(job, error)
        EXECUTION.reset(token)
        self._conclude(job, guard, values, retryable, started, begin)

    def _execution(self, job: Job) -> Execution:
        name = f"{self.start.cls.name}.{job.function.name}"
        context = self.runner.client.adopt_context(job.context)
        start = self.start
        return Execution(
            context, job.spec.task_id, job.spec.name or name, start.actor_id, name, start.resources,
            captures=start.cls.captures, module=start.cls.module, gpus=start.gpus,
        )  # fmt: skip

    def _refused(self, job: Job) -> bool:
        machine = self.runner.machine
        if job.spec.task_id in machine.refused:
            machine.refused.discard(job.spec.task_id)
            self.runner.note(job.sender, refusal(job))
            return True
        return False

    def _method(self, job: Job) -> Any:
        name = job.function.name
        if name == "__ray_terminate__":
            return exit_actor
        if name == "__ray_ready__":
            return lambda: True
        if name == "__ray_call__":
            return lambda function, *args, **kwargs: function(self.instance, *args, **kwargs)
        return method_of(self.instance, name)

    def _of_error(self, job: Job, error: BaseException) -> tuple[list[Value], bool]:
        """The outcome of a call that has raised, or `ENDS`."""
        if isinstance(error, SystemExit) and error.code != 0:
            self._clean_up()
            exit_process(self.runner, error)  # a death, as any other
        if isinstance(error, ActorExit | SystemExit):
            _asked_to_end.set()
            self.runner.parting = self.runner.parting or (EXIT_ACTOR if isinstance(error, ActorExit) else EXIT_0)
            return ENDS, False
        name = f"{self.start.cls.name}.{job.function.name}"
        if isinstance(error, MissingDependency):
            error = RuntimeError("an input of this call is missing")
        return self.runner.outcome.of_error(job, error, name, **self._origin())

    def _origin(self) -> dict[str, str]:
        cls, instance = self.start.cls, self.instance
        anonymous = object.__repr__(instance) if instance is not None else f"<{cls.module}.{cls.name} object>"
        return {"actor_repr": self._repr() or anonymous, "actor_id": self.start.actor_id.hex()}

    def _begin(self, job: Job) -> None:
        """Count a call as one that runs. It does not where the actor has been asked to end."""
        with self._open_lock:
            if _asked_to_end.is_set():
                raise ActorExit
            self._open.add(job.spec.task_id)

    def _exited(self, job: Job) -> list[Value]:
        """What a call gets that ends the actor, or comes after one that does and so does not begin."""
        begun = job.spec.task_id in self._open
        how = self.runner.parting = self.runner.parting or EXIT_ACTOR
        self._end_if_last(job)
        start = self.start
        message = f"the actor {start.cls.name} has ended itself: {how}."
        about = about_actor(start.cls.name, os.getpid(), start.name, "")
        return [Failed("ActorDiedError", message, actor=start.actor_id, about=about, asked_for=begun)]

    def _end_if_last(self, job: Job) -> None:
        """A call has ended. Where the actor was asked to end, it does with the last of those that run."""
        with self._open_lock:
            self._open.discard(job.spec.task_id)
            if self._ended or self._open or not _asked_to_end.is_set():
                return
            self._ended = True
        self._end()

    def _conclude(
        self, job: Job, guard: Guard | None, values: list[Value], retryable: bool, started: float, begin: float
    ) -> None:
        runner = self.runner
        # Where SIGTERM has ended it, or kept it from beginning, the end of the process tells.
        told = not (self._terminated and (values is ENDS or not self._concurrent))
        if values is ENDS:
            values = self._exited(job)
        if runner.breakpoints.active:
            runner.breakpoints.task_ended(job.spec.task_id)
        if guard is not None:
            guard.release(runner.client.host.inbox)
        if told:
            runner.note(job.sender, Result(job.spec.seq, started, time.perf_counter() - begin, values, retryable))
        self._end_if_last(job)
        if self._ended:
            runner.flush()

    def _end(self) -> None:
        """The actor has asked to end: the GCS must know before anybody calls again."""
        client = self.runner.client
        # The results of earlier calls go first: a caller that hears of the end before them takes those calls for lost.
        self.runner.flush()
        if not self._terminated:
            client.post(Outgoing(client.gcs, KillActor(self.start.actor_id, True, "exited")))
        self.runner.leaving = True

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Calls that run beside others may end, as after `exit_actor`; one that runs alone is interrupted."""
        if os.getpid() != self._pid:  # a child has inherited this
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        self._terminated = True
        _asked_to_end.set()
        # What this has interrupted may hold any lock.
        threading.Thread(target=self._end_if_idle, name="raynb-sigterm", daemon=True).start()
        runs = self.runner.running.get(threading.get_ident())
        if runs is not None and not self._concurrent:
            self.runner._interrupt = runs.job.spec.task_id
            signal.raise_signal(signal.SIGINT)

    def _end_if_idle(self) -> None:
        with self._open_lock:
            if self._open or self._ended:
                return
            self._ended = True
        self._end()
        self.runner.wake()
        self.runner.client.host.transport.wake()

    def _clean_up(self) -> None:
        """Call the actor's own ``__ray_shutdown__``, if it has one: in any orderly end, once."""
        clean_up = getattr(self.instance, "__ray_shutdown__", None)
        if clean_up is None or self._clean:
            return
        self._clean = True
        try:
            clean_up()
        except BaseException as error:
            print(f"{self.start.cls.name}.__ray_shutdown__ raised:\n{format_remote(error)}", file=sys.stderr)

    # -- calls in an event loop

    async def _call_async(self, job: Job) -> None:
        runner, spec = self.runner, job.spec
        runner.page.mark(0, spec.seq, spec.task_id, spec.attempt)
        if self._refused(job):
            return
        started, begin = time.time(), time.perf_counter()
        guard = Guard() if spec.deps else None
        execution = self._execution(job)
        EXECUTION.set(execution)
        runner.output.begin(execution)
        runner.shown.runs(execution.name)
        runner.awaited[spec.task_id] = Run(job, started, execution)
        args: Any = None
        kwargs: Any = None
        values: list[Value]
        try:
            if spec.task_id in runner.cancelled:
                raise asyncio.CancelledError
            self._begin(job)
            method = self._method(job)
            if runner.arguments.take_time(job):
                # In the loop it would hold up the other calls.
                args, kwargs = await asyncio.to_thread(runner.arguments.of, job, guard)
            else:
                args, kwargs = runner.arguments.of(job, guard)
            value = method(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
            if inspect.isasyncgen(value) and spec.num_returns == STREAMING:
                values = await runner.outcome.generators.stream_async(job, value)
            else:
                values = runner.outcome.of_value(job, value)
            retryable = False
            value = args = kwargs = None
            if execution.cancelled:
                raise asyncio.CancelledError
            if execution.exits and execution.exits[1] is asyncio.current_task():
                raise ActorExit  # although the method has caught it
        except asyncio.CancelledError as error:
            args = kwargs = None
            values, retryable = self._of_error(job, KeyboardInterrupt().with_traceback(error.__traceback__))
        except BaseException as error:
            args = kwargs = None
            values, retryable = self._of_error(job, error)
        finally:
            runner.awaited.pop(spec.task_id, None)
        self._conclude(job, guard, values, retryable, started, begin)
        if self._ended:
            runner.wake()


def exit_actor() -> None:
    """End the calling actor: its process exits after this call, and it is not restarted.

    It raises an exception for that; a method that catches all exceptions goes on to its end, and its call is an error
    all the same. Calls that run beside this one end before, those that have not begun don't run any more. In a thread
    or a task of the actor's own it ends that; the actor ends with the next of its calls that does.

    Raises
    ------
    TypeError
        Not inside an actor.
    """
    execution = refs.current().execution() if refs.connected() else None
    if execution is None or not execution.actor_id:
        raise TypeError("exit_actor must be called inside an actor: exit_actor API is called on a non-actor worker")
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        task = None
    execution.exits = threading.get_ident(), task
    _asked_to_end.set()
    raise ActorSystemExit(0) if task is None else ActorExit
