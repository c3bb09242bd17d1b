"""The submitter's scheduler: leases of workers, batches straight to them, and stealing back.

Rules
-----
1. A scheduling class is what can share a worker: resources, runtime_env and strategy. For each class the scheduler
   states to the node manager how many workers it could use (a level; see `demands`), gets leases one by one, and pushes
   tasks straight to the leased workers.
2. What lies unstarted in a worker's queue is at most ``batch_work_ms`` of work by the measured durations. A function
   that was not measured yet goes alone, and so does whatever would stand behind a long task.
3. A lease that idles while another has unstarted tasks steals: the victim gives back the last ones. Only a victim
   that can run its I/O thread consents; rule 2 bounds what a busy one withholds.
4. A task all of whose unsettled inputs are computed by one worker's queue follows them there (`Local` dependencies), so
   a chain needs no round trip for each link. A worker that misses an input returns the task unstarted.
5. A worker's death fails only what it had started (its page tells the last ``seq``): this spends a retry; the rest is
   queued again, at the front, and spends none. Where its node has died with it, all that it was sent may have started.
6. An idle lease is kept ``lease_idle_s`` for the next task. One that the node manager asks back gets no more tasks, and
   goes back when what it was sent has ended. One at a node that has another class's demand stated elsewhere for want of
   room goes back at once, and the demand stays: its tasks may have been drawn to that node by their inputs. It stays,
   too, where one has gone back since it was stated: the node had not heard of that.

What it never knows: sockets, threads, the values of objects (`Ownership` keeps them).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from raynb.runtime.core.demands import Demands
from raynb.runtime.core.effects import Send
from raynb.runtime.core.locality import WORTH_BYTES, home_of
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.pools import Lease, Pool
from raynb.runtime.core.task import PUSHED, QUEUED, WAITING, Story, Task, crash_message
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.node import LeaseGranted, LeaseReturned, ProcessDied
from raynb.runtime.messages.nodes import LeaseDeclined, LeaseSpill
from raynb.runtime.messages.strategy import Strategy
from raynb.runtime.messages.tasks import StealTasks
from raynb.runtime.messages.values import Dependency, Failed, Local, Stored

SPREAD_ONE_BY_ONE = 200
"""So many queued tasks that are to be spread go one by one; more go in batches, as all others do."""


class Scheduler:
    """See the module's rules. ``fail`` is called for tasks that end without a result, ``attempt_failed`` for
    those that are tried again."""

    def __init__(
        self,
        config: Config,
        node_manager: str,
        objects: Ownership,
        story: Story,
        fail: Callable[[Task, Failed], None],
        attempt_failed: Callable[[Task, Failed, float], None],
    ) -> None:
        self._attempt_failed = attempt_failed
        self._config = config
        self._demands = Demands(node_manager, config.lease_demand_max)
        self._budget_s = config.batch_work_ms / 1000
        self._node_manager = node_manager
        self._worth_bytes = min(WORTH_BYTES, config.inline_limit_bytes)
        self._objects = objects
        self._story = story
        self._fail = fail
        self.pools: dict[int, Pool] = {}
        self._by_class: dict[tuple[object, ...], Pool] = {}
        self.by_worker: dict[str, Lease] = {}
        self._changed: set[int] = set()
        """Keys of pools that may have something to do."""
        self._drained = False
        """A lease that is asked back has nothing more to do."""
        self._near: dict[bytes, Pool] = {}
        """Queued tasks that are drawn to their inputs on another node, by id."""
        self._followers: dict[str, list[Task]] = {}
        """By worker: tasks submitted in this event that follow their inputs there."""

    # -- submission

    def pool_of(
        self, resources: dict[str, float], runtime_env: str, strategy: Strategy | None = None, home: str = ""
    ) -> Pool:
        """The pool of a scheduling class, made on first use. ``home``: another manager that sees to its demand."""
        identity = (*sorted(resources.items()), runtime_env, strategy, home)
        pool = self._by_class.get(identity)
        if pool is None:
            pool = Pool(len(self._by_class) + 1, resources, runtime_env, home or self._node_manager, strategy)
            self._by_class[identity] = self.pools[pool.key] = pool
        return pool

    def submit(self, task: Task, now: float) -> None:
        """Take over a task whose dependencies are pinned and counted in ``task.missing``."""
        function = task.function
        if function.key == 0:
            pool = self.pool_of(function.resources, function.runtime_env, function.strategy)
            function.key = pool.key
            pool.retriable &= function.max_retries != 0
        if task.missing == 0:
            self._make_ready(task, "ready", now)
            return
        lease = self._lease_to_follow(task)
        if lease is not None:
            self._story.step(task, "push-local")
            self._count(lease, task, now)
            self._followers.setdefault(lease.worker, []).append(task)

    def inputs_settled(self, task: Task, now: float) -> None:
        """All objects that a task waits for have settled."""
        self._make_ready(task, "ready", now)

    def _make_ready(self, task: Task, event: str, now: float, *, front: bool = False) -> None:
        """Queue a task all of whose inputs have settled, or fail it with the first input that failed."""
        elsewhere = False
        if task.deps:
            entries, here = self._objects.entries, self._node_manager
            for oid in task.deps:
                value = entries[oid].value
                if type(value) is Failed:
                    self._objects.unhandled.saw(value)
                    self._fail(task, value.as_input_of(task.name or task.function.name))
                    return
                elsewhere |= type(value) is Stored and value.node != here
        self._story.step(task, event)
        task.ready_at = now
        pool = self.pools[task.function.key]
        if elsewhere and pool.strategy is None:
            pool = self._pool_near_inputs(task, pool)
        if front:
            pool.queue.appendleft(task)
        else:
            pool.queue.append(task)
        self._changed.add(pool.key)

    def _pool_near_inputs(self, task: Task, pool: Pool) -> Pool:
        """See `locality`."""
        entries, copies = self._objects.entries, self._objects.directory.copies
        inputs = (entries[oid].value for oid in task.deps or ())
        home = home_of(inputs, self._node_manager, self._worth_bytes, copies)
        if not home:
            return pool
        near = self.pool_of(pool.resources, pool.runtime_env, home=home)
        near.retriable &= pool.retriable
        self._near[task.id] = near
        return near

    def queue_of(self, task: Task) -> Pool:
        """The pool in which a task is queued."""
        return self._near.get(task.id) or self.pools[task.function.key]

    def _lease_to_follow(self, task: Task) -> Lease | None:
        """Rule 4: the lease whose queue computes all that a task still waits for, if there is room behind it."""
        lease: Lease | None = None
        entries = self._objects.entries
        for oid in task.deps or ():
            entry = entries[oid]
            if entry.value is None:
                producer = entry.task
                if producer is None or producer.state is not PUSHED or producer.cancelled:
                    return None
                if lease is None:
                    lease = producer.lease
                if lease is None or lease is not producer.lease:
                    return None
            elif type(entry.value) is Failed:
                return None  # it is going to fail with that, not to run
        if lease is not None and self._may_follow(task, lease):
            return lease
        return None

    def _may_follow(self, task: Task, lease: Lease) -> bool:
        return (
            lease.pool.key == task.function.key
            and not lease.reclaimed
            and task.function.duration_s <= self._budget_s
            and lease.work_s < self._budget_s
            and len(lease.inflight) < self._config.batch_tasks_max
        )

    # -- pushing

    def _count(self, lease: Lease, task: Task, now: float) -> None:
        task.lease = lease
        task.pushed_at = now
        task.cost_s = task.function.duration_s
        lease.work_s += task.cost_s

    def pump(self, now: float) -> list[Any]:
        """Push what can be pushed, steal, and state the demand; to be called at the end of each event."""
        effects: list[Any] = []
        if self._drained:
            self._drained = False
            self._return_idle(now, effects)
        if self._followers:
            followers, self._followers = self._followers, {}
            for worker, tasks in followers.items():
                lease = self.by_worker[worker]
                effects.append(Send(worker, lease.push(lease.number, tasks, self._dependencies)))
        changed, self._changed = self._changed, set()
        for key in sorted(changed):
            self._pump_pool(self.pools[key], now, effects)
        return effects

    def _pump_pool(self, pool: Pool, now: float, effects: list[Any]) -> None:
        queue = pool.queue
        if queue and pool.leases:
            # The emptiest first, and no more than an equal share each: the last tasks of a queue end together.
            leases = sorted(
                (lease for lease in pool.leases.values() if not lease.reclaimed), key=lambda lease: lease.work_s
            )
            share = -(-len(queue) // max(1, len(leases)))
            if pool.spread and len(queue) <= SPREAD_ONE_BY_ONE:
                share = 1
            for lease in leases:
                if not queue:
                    break
                batch = self._take(lease, queue, share, now)
                if batch:
                    effects.append(Send(lease.worker, lease.push(lease.number, batch, self._dependencies)))
                    lease.reclaimed |= pool.spread  # the next one is another node's turn
        if not queue:
            self._steal(pool, effects)
        self._demands.state(pool, effects)

    def _take(self, lease: Lease, queue: deque[Task], share: int, now: float) -> list[Task]:
        room = lease.room_s(self._budget_s)
        if room < self._budget_s / 2 and lease.inflight:
            return []
        limit = min(share, self._config.batch_tasks_max - len(lease.inflight))
        size = 0
        batch: list[Task] = []
        busy = bool(lease.inflight)
        while queue and len(batch) < limit and size < self._config.batch_bytes_max:
            task = queue[0]
            cost = task.function.duration_s
            if busy and cost > room:
                break
            queue.popleft()
            if self._near:
                self._near.pop(task.id, None)
            if task.missing:
                raise AssertionError(f"{task!r} is queued but waits for {task.missing} objects")
            self._story.step(task, "push")
            self._count(lease, task, now)
            batch.append(task)
            size += len(task.args)
            if busy:
                room -= cost
            busy = True
            if cost > 4 * self._budget_s:
                break
            self._take_followers(lease, task, batch, limit, now)
            room = min(room, self._budget_s)
        return batch

    def _take_followers(self, lease: Lease, producer: Task, batch: list[Task], limit: int, now: float) -> None:
        """Put the tasks that wait for ``producer`` alone behind it into the batch, and those that wait for them."""
        entries = self._objects.entries
        producers = [producer]
        while producers and len(batch) < limit + 64:
            producer = producers.pop()
            if producer.num_returns < 1:
                continue
            for oid in producer.return_ids():
                entry = entries.get(oid)
                for task in (entry.dependents or ()) if entry is not None else ():
                    if (
                        task.state is WAITING
                        and task.actor is None
                        and task.function.key
                        and self._lease_to_follow(task) is lease
                    ):
                        self._story.step(task, "push-local")
                        self._count(lease, task, now)
                        batch.append(task)
                        producers.append(task)

    def _dependencies(self, task: Task) -> list[Dependency]:
        entries = self._objects.entries
        return [entries[oid].value or Local(oid) for oid in task.deps or ()]

    def _steal(self, pool: Pool, effects: list[Any]) -> None:
        if not any(not lease.inflight for lease in pool.leases.values()):
            return
        for lease in pool.leases.values():
            if len(lease.inflight) > 1 and not lease.stealing:
                lease.stealing = True
                effects.append(Send(lease.worker, StealTasks(len(lease.inflight) // 2)))

    # -- what comes back

    def granted(self, manager: str, message: LeaseGranted, now: float) -> list[Any]:
        """A manager has granted a worker."""
        pool = self.pools[message.key]
        lease = Lease(message, pool, manager, now)
        pool.infeasible = ""
        pool.leases[lease.worker] = lease
        self.by_worker[lease.worker] = lease
        self._changed.add(pool.key)
        return []

    def done(self, lease: Lease, seq: int, duration_s: float, now: float) -> Task | None:
        """A result arrived: the task is no longer in flight. None for a push that isn't known (a late one)."""
        task = lease.inflight.pop(seq, None)
        if task is None:
            return None
        lease.work_s = lease.work_s - task.cost_s if lease.inflight else 0.0
        if not lease.inflight:
            lease.idle_since = now
            lease.stealing = False
            self._drained |= lease.reclaimed or not self._config.lease_idle_s
        task.function.measure(duration_s)
        self._changed.add(lease.pool.key)
        return task

    def returned(self, lease: Lease, seqs: Iterable[int], reason: str, now: float) -> None:
        """Tasks came back unstarted."""
        lease.stealing = False
        for seq in sorted(seqs, reverse=True):
            task = lease.inflight.pop(seq, None)
            if task is None:
                continue
            lease.work_s = lease.work_s - task.cost_s if lease.inflight else 0.0
            self._requeue(task, "return", now)
        if not lease.inflight:
            lease.idle_since = now
        if reason == "exiting":
            lease.reclaimed = True  # nothing more is sent there
            self._drained = True
        if reason == "blocked":
            # It waits in `get`: nothing goes behind it until it says that it goes on, by a result.
            lease.work_s = max(lease.work_s, 8 * self._budget_s)
        self._changed.add(lease.pool.key)

    def _requeue(self, task: Task, event: str, now: float) -> None:
        task.lease = None
        missing = self._objects.unsettled(task)
        if task.cancelled:
            self._fail(task, Failed("TaskCancelledError", "the task was cancelled before it started"))
        elif missing:
            # It was pushed behind what computes its input; the entries still count it among their dependents.
            task.missing = missing
            self._story.step(task, "await")
        else:
            task.missing = 0
            self._make_ready(task, event, now, front=True)

    def retry(self, task: Task, failure: Failed, now: float) -> None:
        """Run a pushed task again, as a new attempt."""
        self._attempt_failed(task, failure, now)
        self._requeue(task, "retry", now)

    def reclaim(self, manager: str, numbers: Iterable[int], now: float) -> list[Any]:
        """A node manager wants these leases back as soon as they are idle."""
        effects: list[Any] = []
        wanted = set(numbers)
        for lease in self.by_worker.values():
            if lease.number in wanted and lease.manager == manager:
                lease.reclaimed = True
                self._changed.add(lease.pool.key)
        self._return_idle(now, effects)
        return effects

    def spill(self, message: LeaseSpill) -> list[Any]:
        """The home of a pool has some of its demand stated elsewhere; for rule 6, its end."""
        pool = self.pools[message.key]
        effects: list[Any] = []
        for lease in list(self.by_worker.values()) if message.full else ():
            if lease.manager == pool.home and not lease.inflight and lease.pool.makes_room_for(pool):
                self._give_back(lease, effects)
        return effects + self._demands.spill(pool, message, stay=bool(effects) or (message.full and pool.room))

    def declined(self, manager: str, message: LeaseDeclined) -> list[Any]:
        """A manager has granted less than was stated there."""
        return self._demands.declined(self.pools[message.key], manager, message)

    def refused(self, pool: Pool) -> list[Any]:
        """No worker will ever come for what waited in a pool, and is queued no more."""
        return self._demands.refused(pool)

    def tick(self, now: float) -> list[Any]:
        """Return leases that idle for too long; try to steal again where a victim did not answer."""
        effects: list[Any] = []
        self._return_idle(now, effects)
        for pool in self.pools.values():
            if pool.queue or any(len(lease.inflight) > 1 for lease in pool.leases.values()):
                for lease in pool.leases.values():
                    lease.stealing = False
                self._changed.add(pool.key)
            self._demands.state(pool, effects, at_tick=True)
        return effects

    def _return_idle(self, now: float, effects: list[Any]) -> None:
        for pool in self.pools.values():
            for lease in list(pool.leases.values()):
                if lease.inflight:
                    continue
                if lease.reclaimed or now - lease.idle_since >= self._config.lease_idle_s:
                    if pool.queue and not lease.reclaimed:
                        continue
                    if pool.spread:
                        self._demands.turn_is_over(pool, lease.manager, effects)
                    self._give_back(lease, effects)

    def _give_back(self, lease: Lease, effects: list[Any]) -> None:
        if not lease.pool.queue:
            self._demands.state(lease.pool, effects, at_tick=True)  # or it would be granted here again
        del lease.pool.leases[lease.worker]
        self.by_worker.pop(lease.worker, None)
        effects.append(Send(lease.manager, LeaseReturned(lease.number)))
        self._changed.add(lease.pool.key)
        for pool in self.pools.values():
            if pool.queue and pool.home == lease.manager and lease.pool.makes_room_for(pool):
                pool.room = True

    def worker_died(self, message: ProcessDied, now: float) -> None:
        """Rule 5."""
        lease = self.by_worker.pop(message.address, None)
        if lease is None:
            return
        lease.pool.leases.pop(lease.worker, None)
        self._changed.add(lease.pool.key)
        kind = "OutOfMemoryError" if message.out_of_memory else "WorkerCrashedError"
        last_started = message.last_seq if message.lease == lease.number else 0
        if message.node:
            kind, last_started = "NodeDiedError", lease.next_seq
        inflight, lease.inflight = lease.inflight, {}
        for seq in sorted(inflight, reverse=True):
            task = inflight[seq]
            if task.cancelled:
                self._fail(task, Failed("TaskCancelledError", "the task was cancelled and its worker ended"))
            elif seq > last_started:
                self._requeue(task, "return", now)
            elif task.retries_left != 0:
                self.retry(task, Failed(kind, crash_message(task, message)), now)
            else:
                end = f"It is not tried again: max_retries={task.function.max_retries} is used up."
                self._fail(task, Failed(kind, f"{crash_message(task, message)} {end}"))

    def node_died(self, manager: str, reason: str, now: float) -> list[Any]:
        """Another node is gone, with its workers: those too of which nobody else knew."""
        for lease in [lease for lease in self.by_worker.values() if lease.manager == manager]:
            self.worker_died(ProcessDied(lease.worker, "worker", lease.pid, reason, node=manager), now)
        effects: list[Any] = []
        for pool in self.pools.values():
            effects += self._demands.manager_died(pool, manager)
        return effects

    def lost(self) -> None:
        """The node is gone, with all its workers; the tasks have failed."""
        for pool in self.pools.values():
            pool.queue.clear()
            pool.leases.clear()
        self.by_worker.clear()
        self._followers.clear()
        self._near.clear()

    def unqueue(self, task: Task) -> None:
        """Take a task that waits or is queued out of the queue (it was cancelled)."""
        if task.state is QUEUED:
            self.queue_of(task).queue.remove(task)
            self._near.pop(task.id, None)

    def unqueue_waiting(self) -> None:
        """Take the tasks out of the queues that have to wait for an input again."""
        for pool in self.pools.values():
            for task in pool.queue:
                if task.state is WAITING:
                    self._near.pop(task.id, None)
            pool.queue = deque(task for task in pool.queue if task.state is QUEUED)

    def check(self) -> None:
        near = dict(self._near)
        for pool in self.pools.values():
            for task in pool.queue:
                assert task.state is QUEUED and task.missing == 0, task
                assert near.pop(task.id, pool) is pool, (task, "is queued elsewhere than it is looked for")
            for lease in pool.leases.values():
                assert self.by_worker[lease.worker] is lease
                for seq, task in lease.inflight.items():
                    assert task.state is PUSHED and task.lease is lease and task.seq == seq, task
        assert not near, (near, "are drawn to their inputs, and not queued")
