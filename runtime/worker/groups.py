"""Concurrency groups of an actor: each has threads of its own, or an event loop of its own in one, and its own order.

What blocks in one group holds up no other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from queue import SimpleQueue
from typing import Any, Final

from raynb.runtime.core.executor import Job, refusal
from raynb.runtime.worker.runner import Runner

LOOP_CALLS_MAX: Final = 10_000
"""Calls that the loops have begun or keep for their group's turn; the rest stays in the queue."""
LAST_CALLS_S: Final = 1.0
"""Those that run when the actor ends may take so long to end, too."""

Calls = SimpleQueue[Job | None]


class ThreadGroups:
    """The main thread hands out the calls; the one without a name is for those that belong to no group."""

    def __init__(self, runner: Runner, size: int, groups: Mapping[str, int], call: Callable[[Job], None]) -> None:
        self._runner = runner
        self._sizes = {"": size, **groups}
        self._calls: dict[str, Calls] = {group: SimpleQueue() for group in self._sizes}
        self._call = call

    def serve(self) -> None:
        """Until the worker leaves."""
        self._runner.alone = False
        for group, size in self._sizes.items():
            for i in range(size):
                name = f"raynb-actor-{group or 'default'}-{i}"
                threading.Thread(target=self._serve, args=(group,), name=name, daemon=True).start()
        while not self._runner.leaving:
            job = self._runner.take()
            if job is not None:
                self._calls[job.spec.group if job.spec.group in self._calls else ""].put(job)

    def _serve(self, group: str) -> None:
        calls = self._calls[group]
        while not self._runner.leaving:
            job = calls.get()
            if job is not None:
                self._call(job)
        self._runner.wake_all()


class LoopGroup:
    """The calls of one group, in one event loop."""

    def __init__(
        self, runner: Runner, size: int, call: Callable[[Job], Coroutine[Any, Any, None]], done: Callable[[], None]
    ) -> None:
        self._runner = runner
        self._call = call
        self._done = done
        self._limit = asyncio.Semaphore(size)
        self._calls: set[asyncio.Task[None]] = set()
        self.ended = 0
        """Calls, so far; counted by the loop's own thread alone."""

    def begin(self, job: Job) -> None:
        """In its loop."""
        call = asyncio.get_running_loop().create_task(self._in_turn(job))
        self._calls.add(call)
        call.add_done_callback(self._end)

    def _end(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self.ended += 1
        self._done()

    async def finish(self) -> None:
        """Wait for the last calls, for a while."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=LAST_CALLS_S)

    async def _in_turn(self, job: Job) -> None:
        """Run a call when the others leave it room; one that is cancelled before does not wait for that."""
        runner, task_id = self._runner, job.spec.task_id
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

        runner.interrupts[task_id] = stop
        try:
            if task_id in runner.cancelled:
                raise asyncio.CancelledError
            await self._limit.acquire()
        except asyncio.CancelledError:
            runner.interrupts.pop(task_id, None)
            runner.note(job.sender, refusal(job))
            return
        try:
            await self._call(job)
        finally:
            runner.interrupts.pop(task_id, None)
            self._limit.release()


class LoopGroups:
    """The main thread's loop is the one of calls that belong to no group, and hands out the others."""

    def __init__(
        self,
        runner: Runner,
        size: int,
        groups: Mapping[str, int],
        call: Callable[[Job], Coroutine[Any, Any, None]],
        clean_up: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._clean_up = clean_up
        self._groups = {group: LoopGroup(runner, n, call, self._on_end) for group, n in {"": size, **groups}.items()}
        self._loops: dict[str, asyncio.AbstractEventLoop] = {}
        self._begun = 0

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until the worker leaves. ``loop`` is the one that the actor's constructor has had."""
        self._loops = {group: asyncio.new_event_loop() for group in self._groups if group}
        threads = [
            threading.Thread(target=self._serve, args=(group,), name=f"raynb-actor-{group}", daemon=True)
            for group in self._loops
        ]
        for thread in threads:
            thread.start()
        with asyncio.Runner(loop_factory=lambda: loop) as runs:
            runs.run(self._hand_out())
        for group_loop in self._loops.values():
            group_loop.call_soon_threadsafe(group_loop.stop)
        for thread in threads:
            thread.join(2 * LAST_CALLS_S)

    def _serve(self, group: str) -> None:
        loop = self._loops[group]
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.run_until_complete(self._groups[group].finish())

    @property
    def _open(self) -> int:
        return self._begun - sum(group.ended for group in self._groups.values())

    def _on_end(self) -> None:
        """In any of the loops."""
        if self._open >= LOOP_CALLS_MAX - len(self._groups):
            self._runner.wake()

    async def _hand_out(self) -> None:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        runner, groups, loops = self._runner, self._groups, self._loops

        def notify() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)

        runner.notify = notify
        runner.alone = False
        queue = runner.machine.queue
        while not runner.leaving:
            arrived.clear()
            while queue and not runner.leaving and self._open < LOOP_CALLS_MAX:
                job = queue.popleft()
                group = job.spec.group
                self._begun += 1
                if group in loops:
                    loops[group].call_soon_threadsafe(groups[group].begin, job)
                else:
                    groups[""].begin(job)
            await arrived.wait()
        await groups[""].finish()
        await asyncio.to_thread(self._clean_up)  # it may want the loops
