"""The client machine: what a driver or a worker is to the others - a submitter, an owner, a borrower, a caller.

It composes `Ownership` (objects), `Scheduler` (tasks), `Actors` (calls), `Streams` (generators), `Recorder` (events)
and more, and gives each event to those it concerns. One door: ``handle(event, now)``. Events are `Inbox`, `Received`,
`Frames`, `Tick` and `NodeManagerDied`; effects are `Send`, `Wake`, `Blocked`, `Notice`, `Foreign` and `Forget`.

User threads may read some things without asking, because the interpreter makes single reads and writes atomic and
only this machine writes them: ``objects.entries[oid].value``, a stream's ``received`` and ``total``, an actor's
``state``.

Its host must carry out the effects in order, and call ``handle(Tick(), now)`` at least each ``Config.tick_s`` while
``idle`` is false.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from raynb.runtime.core import client_deaths, client_losses, client_results, client_streams, evictions
from raynb.runtime.core.actors import Actors
from raynb.runtime.core.cancellation import Cancellation
from raynb.runtime.core.client_acts import ClientActs
from raynb.runtime.core.client_effects import Foreign, Frames, Retried
from raynb.runtime.core.client_infeasible import infeasible
from raynb.runtime.core.client_lost import lose
from raynb.runtime.core.creations import Creations
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.evictions import CopiesAsked
from raynb.runtime.core.failed_tasks import FailedTasks
from raynb.runtime.core.freed import LetViewGo
from raynb.runtime.core.handoffs import Handoffs
from raynb.runtime.core.inbox import (
    Ask,
    AskWhy,
    CancelCell,
    CancelObject,
    CloseStream,
    HandOff,
    Inbox,
    KillByHandle,
    LostValue,
    NodeManagerDied,
    Outgoing,
    PeekItem,
    PutValue,
    Retain,
    StopAsking,
    StopWaiting,
    TakeItem,
    TakePeeked,
    WaitFor,
    WaitForItem,
)
from raynb.runtime.core.object_rows import OwnRows
from raynb.runtime.core.ownership import Entry, Ownership
from raynb.runtime.core.recorder import Recorder
from raynb.runtime.core.requests import Requests
from raynb.runtime.core.running import running
from raynb.runtime.core.scheduler import Scheduler
from raynb.runtime.core.streams import Stream, Streams
from raynb.runtime.core.task import DONE, PUSHED, WAITING, Story, Task
from raynb.runtime.core.waiting import Waiting
from raynb.runtime.core.watched import WatchObject
from raynb.runtime.core.why_object import answer, answer_here
from raynb.runtime.messages import Message, copies, events, gcs, node, nodes, objects, tasks, transfers, why
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.values import Failed


class ClientMachine:
    """See the module's rules.

    Parameters
    ----------
    address, node_manager, gcs
        Addresses of this process and of those it belongs to.
    wall_offset_s
        Wall-clock time minus the monotonic time that events come with.
    """

    def __init__(
        self, config: Config, address: str, node_manager: str, gcs_address: str, wall_offset_s: float = 0.0
    ) -> None:
        self.config = config
        self.address = address
        self.node_manager = node_manager
        self.gcs = gcs_address
        self.objects = Ownership(address, node_manager, config.lineage_bytes_max)
        self.failed = FailedTasks(self.objects)
        self.story = Story()
        self.recorder = Recorder(config, wall_offset_s)
        self.scheduler = Scheduler(config, node_manager, self.objects, self.story, self.fail, self.attempt_failed)
        self.actors = Actors(config, gcs_address, self.objects, self.story, self.fail, self.attempt_failed)
        self.unfinished: dict[bytes, Task] = {}
        self.rows = OwnRows(self.objects.entries, self.failed.uses, self.unfinished)
        self.streams = Streams(self.objects, self.unfinished)
        self.creations = Creations(
            gcs_address, self.objects, self.actors, self.story, self.recorder, self.unfinished, self._ask
        )
        self.cancellation = Cancellation(
            config,
            address,
            node_manager,
            self.scheduler,
            self.actors,
            self.unfinished,
            self.fail,
            partial(client_results.settle_early, self),
        )
        self.acts = ClientActs(self)
        self.requests = Requests(gcs_address, config.retry_request_s)
        self.lost = ""
        """Why the cluster is gone, once it is."""
        self._effects: list[Any] = []
        self.handoffs = Handoffs(self.objects)
        self._own_lease = 0
        """Under which this process, a worker, was granted last."""
        self.waiting = Waiting(self.objects, self.streams)
        self._flushed_at = 0.0
        self._tick_at = 0.0
        self._inbox = self._inbox_handlers()
        self._messages = self._message_handlers()

    def _inbox_handlers(self) -> dict[type, Callable[[Any, float], None]]:
        return {
            Task: self._submit,
            Retain: lambda item, now: self.objects.retain(item.oid, item.owner, item.view),
            LetViewGo: lambda item, now: self.objects.let_view_go(item.oid),
            WatchObject: lambda item, now: self.objects.watched.watch(item.oid),
            Stream: lambda item, now: self.streams.open(item),
            PutValue: self._put,
            WaitFor: lambda item, now: self._effects.extend(self.waiting.begin(item, now)),
            StopWaiting: lambda item, now: self._effects.extend(self.waiting.end(item)),
            WaitForItem: lambda item, now: self._effects.extend(self.waiting.begin_item(item)),
            TakeItem: lambda item, now: self._effects.extend(self.streams.take(item.task_id, item.index)),
            PeekItem: lambda item, now: self.streams.peek(item.task_id, item.index),
            TakePeeked: lambda item, now: self._effects.extend(self.streams.take_peeked(item)),
            LostValue: partial(client_losses.not_had, self),
            CopiesAsked: lambda item, now: self._effects.append(evictions.answer(self.objects.entries, item)),
            CloseStream: lambda item, now: self._effects.extend(client_streams.close(self, item, now)),
            HandOff: lambda item, now: self.handoffs.hold(item),
            Outgoing: self._outgoing,
            CancelObject: lambda item, now: self._effects.extend(self.cancellation.object(item, now)),
            CancelCell: lambda item, now: self._effects.extend(self.cancellation.cell(item.cell, now)),
            KillByHandle: lambda item, now: self._effects.extend(self.creations.kill(item, now)),
            Ask: self._ask,
            AskWhy: lambda item, now: self._effects.append(answer_here(self, item, now)),
            StopAsking: lambda item, now: self.requests.forget(item.answer),
            **(self.failed.handlers | self.recorder.names.handlers),
        }

    def _message_handlers(self) -> dict[type, Callable[[str, Any, float], None]]:
        directory = self.objects.directory
        return {
            tasks.TasksDone: partial(client_results.done, self),
            tasks.TasksReturned: partial(client_results.returned, self),
            tasks.StreamItems: lambda sender, message, now: self._effects.extend(
                client_streams.arrived(self, sender, message, now)
            ),
            tasks.RefsTaken: lambda sender, message, now: self.handoffs.taken(sender, message),
            tasks.CancelTask: self._on_cancel,
            objects.ObjectValues: lambda sender, message, now: self.objects.on_values(message),
            objects.PullObjects: lambda sender, message, now: self.objects.on_pull(sender, message),
            objects.AddBorrowers: lambda sender, message, now: self.objects.on_add_borrowers(sender, message),
            objects.BorrowersAdded: lambda sender, message, now: self.objects.on_borrowers_added(sender, message),
            objects.RemoveBorrowers: lambda sender, message, now: self.objects.on_remove_borrowers(sender, message),
            copies.CopyAdded: lambda sender, message, now: directory.on_copy_added(sender, message),
            copies.CopyDropped: lambda sender, message, now: directory.on_copy_dropped(sender, message),
            copies.CopiesKept: lambda sender, message, now: directory.on_copies_kept(sender, message),
            copies.LocateObjects: lambda sender, message, now: directory.on_locate(sender, message),
            copies.ValuesLost: partial(client_losses.on_values_lost, self),
            objects.LeftBehind: lambda sender, message, now: self.streams.left_behind(sender, message.oids),
            objects.OwnerGone: lambda sender, message, now: self.objects.on_owner_gone(sender, message),
            objects.ExtentGranted: self._on_answer,
            transfers.ObjectsFetched: self._on_answer,
            transfers.EvictCopies: lambda sender, message, now: None,  # its host has posted `CopiesAsked`
            objects.ExtentRefused: self._on_answer,
            node.LeaseGranted: self._on_granted,
            node.LeaseReclaim: lambda sender, message, now: self._effects.extend(
                self.scheduler.reclaim(sender, message.leases, now)
            ),
            nodes.LeaseSpill: lambda sender, message, now: self._effects.extend(self.scheduler.spill(message)),
            nodes.LeaseDeclined: lambda sender, message, now: self._effects.extend(
                self.scheduler.declined(sender, message)
            ),
            node.LeaseInfeasible: lambda sender, message, now: self._effects.extend(infeasible(self, message)),
            node.ProcessDied: self._on_process_died,
            gcs.ActorState: lambda sender, message, now: self._effects.extend(self.creations.on_state(message, now)),
            gcs.Reply: self._on_answer,
            events.ReportObjects: self._on_report,
            why.WhyObject: lambda sender, message, now: self._effects.append(
                Send(sender, answer(self, message.request, message.oid, now))
            ),
            events.SendNames: lambda sender, message, now: self.recorder.send_names_again(),
        }

    # -- the door

    def handle(self, event: Inbox | Frames | Received | Tick | NodeManagerDied, now: float) -> list[Any]:
        """Take one event; gives the effects in order."""
        if isinstance(event, Inbox):
            self._on_inbox(event.items, now)
        elif isinstance(event, Frames):
            # Deaths last: what the dead still said, and what arrived with the news, counts.
            deaths = []
            for sender, message in event.received:
                if type(message) is node.ProcessDied:
                    deaths.append((sender, message))
                else:
                    self._on_message(sender, message, now)
            for sender, died in deaths:
                self._on_process_died(sender, died, now)
        elif isinstance(event, Received):
            self._on_message(event.sender, event.message, now)
        elif isinstance(event, Tick):
            self._on_tick(now)
        else:
            self._on_lost(event.reason, now)
        if self.objects.directory.lost:
            client_losses.take_up(self, now)
        self._settle_dependents(now)
        while self.objects.dropped_actors:
            self._effects += self.creations.drop(now)
        effects, self._effects = self._effects, []
        effects += self.objects.flush()
        effects += self.scheduler.pump(now)
        effects += self.actors.pump(now)
        return effects

    def _on_inbox(self, items: list[object], now: float) -> None:
        release = self.objects.release
        handlers = self._inbox
        for item in items:
            if type(item) is bytes:
                release(item)
            else:
                handlers[type(item)](item, now)

    def _on_message(self, sender: str, message: Message, now: float) -> None:
        handler = self._messages.get(type(message))
        if handler is not None:
            handler(sender, message, now)
        elif (act := self.acts.handlers.get(type(message))) is not None:
            self._effects += act(sender, message, now)
        else:
            self._effects.append(Foreign(sender, message))

    def _settle_dependents(self, now: float) -> None:
        ready = self.objects.ready_dependents
        while ready:
            task = ready.popleft()
            task.missing -= task.missing > 0
            if task.state is not WAITING or task.missing:
                continue
            # One that came back in this event has counted as there what it is told of now, once more.
            task.missing = self.objects.unsettled(task)
            if task.missing:
                continue
            if task.creation is not None:
                self._effects += self.creations.ready(task, now)
            elif task.actor is not None:
                self.actors.ready(task, now)
            else:
                self.scheduler.inputs_settled(task, now)

    # -- submission

    def _submit(self, task: Task, now: float) -> None:
        task.submitted_at = now
        entries = self.objects.entries
        if task.num_returns == 1 or task.num_returns < 0:
            entries[task.id + FIRST_RETURN] = Entry(local=1, task=task, function=task.function, site=task.site)
        else:
            for oid in task.return_ids():
                entries[oid] = Entry(local=1, task=task, function=task.function, site=task.site)
        self.recorder.submitted(task)
        self.take_on(task, now)

    def take_on(self, task: Task, now: float) -> None:
        """Run a task whose return values have their entries."""
        if task.deps:
            for oid in task.deps:
                task.missing += self.objects.depend(oid, task, now)
        if task.refs:
            for oid in task.refs:
                self.objects.entries[oid].pins += 1
        self.unfinished[task.id] = task
        if self.lost and task.creation is None:
            self.fail(task, Failed("LocalRayletDiedError", self.lost))
        elif task.creation is not None:
            self._effects += self.creations.submitted(task, now)
        elif task.actor is not None:
            self.actors.submit(task, now)
        else:
            self.scheduler.submit(task, now)

    def fail(self, task: Task, failure: Failed) -> None:
        """End a task without a result."""
        self.story.step(task, "cancel" if failure.kind == "TaskCancelledError" and task.state is not PUSHED else "fail")
        now = max(task.submitted_at, task.pushed_at, self._tick_at)
        client_results.conclude(self, task, [failure], None, failure, now)

    def attempt_failed(self, task: Task, failure: Failed, now: float) -> None:
        """Count an attempt of a task that is tried again, and tell of it."""
        self.recorder.attempt_failed(task, failure, now)
        self._effects.append(Retried(failure, task.retries_left, task.context.cell, task.name or task.function.name))
        task.retries_left -= task.retries_left > 0
        task.attempt += 1

    def add(self, effects: list[Any]) -> None:
        """These come with the effects of the event that is handled."""
        self._effects += effects

    # -- objects

    def _put(self, item: PutValue, now: float) -> None:
        self.objects.create(item.oid, 1, note=item.note).site = item.site
        self.objects.settle(item.oid, item.value)

    def _on_cancel(self, sender: str, message: tasks.CancelTask, now: float) -> None:
        if message.task_id in self.unfinished:
            self._effects += self.cancellation.task(
                message.task_id, now, force=message.force, recursive=message.recursive
            )
        else:
            self._effects.append(Foreign(sender, message))

    def cancel_children(self, parent: bytes, now: float) -> None:
        """Cancel what the task ``parent`` submitted from this process; the effects come with the next event's."""
        self._effects += self.cancellation.children(parent, now)

    # -- actors and requests

    def _ask(self, item: Ask, now: float) -> None:
        sent = self.requests.ask(item, now)
        if self.lost:
            message: Any = item.message
            self._on_answer("", gcs.Reply(message.request, error=Failed("LocalRayletDiedError", self.lost)), now)
        else:
            self._effects += sent

    def _on_answer(self, sender: str, message: Any, now: float) -> None:
        ask, effects = self.requests.answered(message)
        self._effects += effects
        if ask is not None:
            self._effects += self.creations.answered(ask.message, message, now)

    def _outgoing(self, item: Outgoing, now: float) -> None:
        if item.guarded:
            self.objects.borrowing.send_guarded(item.to, item.message)
        else:
            self._effects.append(Send(item.to, item.message))

    # -- leases, deaths, time

    def _on_granted(self, sender: str, message: node.LeaseGranted, now: float) -> None:
        if sender != self.node_manager:
            self.objects.lineage.are_far()
        if message.worker == self.address and message.lease != self._own_lease:
            # Of us, and not (yet) to us: this process is the worker. Of itself it hears twice, as the worker first.
            self._own_lease = message.lease
            self._effects.append(Foreign(sender, message))
        else:
            self.scheduler.granted(sender, message, now)

    def _on_process_died(self, sender: str, message: node.ProcessDied, now: float) -> None:
        if message.kind == "node" and message.address == self.node_manager:
            self._on_lost(message.reason, now)
            return
        client_deaths.process_died(self, message, now)

    def _on_lost(self, reason: str, now: float) -> None:
        """The node is gone: everything that is not here is lost."""
        if self.lost:
            return
        self._effects += lose(self, reason, now)
        for reply in self.requests.failures(Failed("LocalRayletDiedError", self.lost)):
            self._on_answer("", reply, now)

    def _on_tick(self, now: float) -> None:
        self._tick_at = now
        config = self.config
        silent = self.objects.tick(now, config.retry_request_s) + self.actors.silent(now, config.retry_request_s)
        if silent:
            self._effects.append(Send(self.node_manager, node.AreAlive(silent)))
        self._effects += self.scheduler.tick(now)
        self._effects += self.actors.tick(now)
        self._effects += self.requests.tick(now)
        self.objects.freed.tick(now)
        self._effects += self.cancellation.tick(now)
        if now - self._flushed_at >= config.event_flush_s:
            self.flush_events(now)

    def _on_report(self, sender: str, message: events.ReportObjects, now: float) -> None:
        self.flush_events(now)  # what makes or uses them is shown beside them
        self._effects.append(self.rows.report(sender, message))

    def flush_events(self, now: float) -> None:
        """Send the rows that have gathered to the event hub, with the next effects."""
        self._flushed_at = now
        for message in self.recorder.flush(running(self.scheduler, self.actors)):
            if not self.lost:
                self._effects.append(Send(self.gcs, message))

    @property
    def idle(self) -> bool:
        """Whether nothing would come of a tick."""
        return not (
            self.unfinished
            or self.requests
            or self.waiting.threads
            or self.scheduler.by_worker
            or self.recorder.pending
            or self.objects.borrowing.holds_back
            or self.actors.more
            or self.objects.freed.values
            or self.objects.directory.asks
        )

    @property
    def unsaid(self) -> bool:
        """Whether a quick exit would lose something: what is held back, references that nobody has registered yet."""
        return bool(self.objects.borrowing.holds_back or self.handoffs)

    @property
    def needed(self) -> bool:
        """Whether others would miss this process: it owns something, works for somebody, or has something `unsaid`."""
        return bool(self.unsaid or self.unfinished or self.objects.owns_any)

    # -- invariants

    def check(self) -> None:
        """The invariants, as assertions; tests and the simulation call it after every step."""
        self.objects.check()
        self.failed.check()
        self.scheduler.check()
        self.actors.check()
        for task in self.unfinished.values():
            assert task.state is not DONE, task
            if task.creation is None:
                for oid in task.deps or ():
                    assert oid in self.objects.entries, (task, oid.hex(), "a dependency was let go")

    def statistics(self) -> dict[str, int]:
        return {
            **self.objects.statistics(),
            "unfinished": len(self.unfinished),
            "leases": len(self.scheduler.by_worker),
            "queued": sum(len(pool.queue) for pool in self.scheduler.pools.values()),
            "requests": len(self.requests),
            "handed_off": len(self.handoffs),
        }
