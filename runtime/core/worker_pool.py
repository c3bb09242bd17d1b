"""The workers of a node: ordered, joined, given away, taken back, ended.

Rules
-----
1. A worker's life is the table `TRANSITIONS`; anything else raises with that worker's story. It is named by the token
   under which it was ordered, which it repeats when it joins; a process with an unknown token is refused.
2. As many workers as the node has CPUs are kept (ordered at the start, replaced when they die or become actors). More
   are ordered for demands whose resources are free but which find no idle worker, since others wait in ``get``.
3. A worker is pristine until its first lease and belongs to that lease's ``runtime_env`` from then on.
4. Idle workers beyond the node's CPUs are asked to leave after ``worker_idle_s``, the longest idle first; at once where
   the node has fewer CPUs than before. The worker itself decides: one that owns live objects stays. It says
   `LeaveNode` when it goes.
5. Every state but IDLE, LEASED, ACTOR and RETIRED has a deadline: one that doesn't join in time, or doesn't end when
   it was told to, is killed. One that is stopped (SIGSTOP) is killed after `STOPPED_PATIENCE_S`. Silence alone never
   kills.
6. A worker that has said that it retires is given to nobody once its lease is back; it ends by itself when the tasks
   that it has submitted are over and nobody needs what it owns. Where it was given to an actor just before, it said so
   without having taken that: the actor needs another.
7. When workers die before they join, or soon after it without having begun a task, the next are ordered after a pause
   that grows.

It never knows resources or clients (`leases` does), sockets or pids' meaning.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from raynb.runtime.core.effects import Send
from raynb.runtime.core.node_effects import EndProcess, Say, SpawnWorker
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.node import ExitWorker, WorkerListing

STARTING, IDLE, LEASED, ACTOR, RETIRED = "starting", "idle", "leased", "actor", "retired"
DYING, DEAD = "dying", "dead"

TRANSITIONS: dict[tuple[str, str], str] = {
    (STARTING, "join"): IDLE,
    (IDLE, "lease"): LEASED,
    (IDLE, "become actor"): ACTOR,
    (LEASED, "return"): IDLE,
    (LEASED, "retire"): RETIRED,
    (ACTOR, "retire"): RETIRED,
    (IDLE, "retire"): RETIRED,
    (STARTING, "end"): DYING,
    (IDLE, "end"): DYING,
    (LEASED, "end"): DYING,
    (ACTOR, "end"): DYING,
    (RETIRED, "end"): DYING,
    (DYING, "end"): DYING,
    (STARTING, "exit"): DEAD,
    (IDLE, "exit"): DEAD,
    (LEASED, "exit"): DEAD,
    (ACTOR, "exit"): DEAD,
    (RETIRED, "exit"): DEAD,
    (DYING, "exit"): DEAD,
}

STOPPED_PATIENCE_S = 30.0
TERM_PATIENCE_S = 1.0
STORY_STEPS_MAX = 24
START_PAUSE_S_MIN, START_PAUSE_S_MAX = 0.1, 10.0
SHORT_LIFE_S = 5.0
START_FAILURES_TOLD = 5
"""So many in a row, and those who wait are told why."""


class Worker:
    """One worker process, from its order to its end."""

    __slots__ = (
        "actor_id", "address", "asked_to_leave", "blocked", "deadline", "ended_because", "incarnation", "intended",
        "joined", "never_returned", "ordered", "out_of_memory", "pid", "retires", "runtime_env", "since", "state",
        "stopped_since", "story", "token", "worker_id",
    )  # fmt: skip

    def __init__(self, token: str, worker_id: bytes, now: float, deadline: float) -> None:
        self.token = token
        self.worker_id = worker_id
        self.address = ""
        self.pid = 0
        self.state = STARTING
        self.ordered = self.since = self.joined = now
        self.never_returned = True
        """No lease of it has come back yet."""
        self.deadline: float | None = deadline
        self.runtime_env: str | None = None
        self.blocked = False
        self.actor_id = b""
        self.incarnation = 0
        self.asked_to_leave: float | None = None
        self.stopped_since: float | None = None
        self.retires = False
        self.intended = False
        self.out_of_memory = False
        """It was ended because memory ran out."""
        self.ended_because = ""
        self.story: deque[str] = deque(maxlen=STORY_STEPS_MAX)

    def __repr__(self) -> str:
        return f"<Worker {self.token} pid={self.pid} {self.state}{' blocked' if self.blocked else ''}>"

    def move(self, cause: str, now: float, detail: str = "") -> None:
        """One step of the table."""
        after = TRANSITIONS.get((self.state, cause))
        if after is None:
            raise AssertionError(f"{self!r} can't {cause!r} ({detail}); its story: {' | '.join(self.story)}")
        self.story.append(f"{now:.3f} {cause} {detail}: {self.state} -> {after}")
        if after != self.state:
            self.since = now
            self.deadline = None
        self.state = after

    def listing(self, wall_minus_now: float) -> WorkerListing:
        """As the screens see it. ``wall_minus_now`` turns this machine's time into wall-clock seconds."""
        state = "blocked" if self.blocked and self.state in (LEASED, ACTOR) else self.state
        ended = self.since + wall_minus_now if self.state == DEAD else 0.0
        return WorkerListing(
            self.worker_id, self.address, self.pid, "worker", state, self.actor_id, self.ordered + wall_minus_now,
            ended, self.ended_because,
        )  # fmt: skip


class WorkerPool:
    """See the module's rules.

    Parameters
    ----------
    cpus : int
        As many workers are kept: the CPUs that the node offers, and no more than it really has.
    node_id : bytes
        28 bytes; worker ids are made from it and a counter.
    """

    def __init__(self, config: Config, cpus: int, node_id: bytes) -> None:
        self._config = config
        self._node_id = node_id
        self.cpus = cpus
        self.workers: dict[str, Worker] = {}
        self.by_address: dict[str, Worker] = {}
        self.changed: dict[str, Worker] = {}
        """What the next `WorkerTable` has to list."""
        self._idle: dict[str, Worker] = {}
        """In the order in which they got idle."""
        self._ordered = 0
        self._starting = 0
        self._dying = 0
        self.start_failures = 0
        self.start_failure = ""
        self._no_order_before = 0.0
        self.limit_told = False
        self._shrinking = False
        """There are more than are kept, because fewer are kept than before."""

    def __repr__(self) -> str:
        return f"<WorkerPool {len(self.workers)} workers, {len(self._idle)} idle, {self._starting} starting>"

    # -- the way in

    @property
    def room(self) -> int:
        """How many more may be starting at once."""
        return max(4, 2 * self.cpus)

    def replenish(self, wanted: int, now: float) -> list[Any]:
        """Order workers: for ``wanted`` demands that could run at once, and up to the number that is kept (rule 2)."""
        if now < self._no_order_before:
            return []
        count = max(wanted - self._starting, self.cpus - self._kept())
        count = min(count, self.room - self._starting)
        if count <= 0:
            return []
        space = self._config.workers_max - len(self.workers)
        effects: list[Any] = []
        if count > space:
            # Somebody else's idle workers make room.
            for worker in [w for w in self._idle.values() if w.asked_to_leave is None][: count - space]:
                effects += self._ask_to_leave(worker, now)
            if not self.limit_told:
                self.limit_told = True
                text = f"workers_max={self._config.workers_max} workers run: no more are started"
                effects.append(Say("warning", text))
            count = space
        return effects + [self._order(now) for _ in range(count)]

    def _order(self, now: float) -> SpawnWorker:
        self._ordered += 1
        number = self._ordered
        worker_id = self._node_id[:20] + number.to_bytes(8, "big")
        deadline = now + self._config.worker_start_timeout_s
        worker = Worker(f"w{number}", worker_id, now, deadline)
        self.workers[worker.token] = self.changed[worker.token] = worker
        self._starting += 1
        return SpawnWorker(worker.token)

    def forked(self, token: str, pid: int) -> None:
        """An ordered worker is a process."""
        worker = self.workers.get(token)
        if worker is not None:
            worker.pid = pid
            self.changed[token] = worker

    def join(self, token: str, address: str, pid: int, now: float) -> Worker | None:
        """A worker says hello. None: refused, nobody ordered it (any more). Idempotent."""
        worker = self.workers.get(token)
        if worker is None or worker.state in (DYING, DEAD):
            return None
        if worker.address:
            return worker if worker.address == address else None
        worker.address, worker.pid, worker.joined = address, pid, now
        self.by_address[address] = worker
        self._starting -= 1
        self._become_idle(worker, "join", now)
        return worker

    def _become_idle(self, worker: Worker, cause: str, now: float) -> None:
        worker.move(cause, now)
        self._idle[worker.token] = worker
        self.changed[worker.token] = worker

    # -- in use

    def take_idle(self, runtime_env: str) -> Worker | None:
        """An idle worker for this environment, still IDLE: the one that ran last, else a pristine one."""
        pristine: Worker | None = None
        for worker in reversed(self._idle.values()):
            if worker.stopped_since is not None or worker.asked_to_leave is not None:
                continue
            if worker.runtime_env == runtime_env:
                return worker
            if worker.runtime_env is None:
                pristine = pristine or worker
        if pristine is None:
            # Better one that may be about to leave than none: if it does leave, nothing had started there.
            for worker in self._idle.values():
                if worker.stopped_since is None and worker.runtime_env in (None, runtime_env):
                    return worker
        return pristine

    def lease(self, worker: Worker, runtime_env: str, now: float) -> None:
        """It is given to a client."""
        self._give(worker, "lease", runtime_env, now)

    def become_actor(self, worker: Worker, actor_id: bytes, incarnation: int, runtime_env: str, now: float) -> None:
        """It is given to an actor, for life."""
        worker.actor_id, worker.incarnation = actor_id, incarnation
        self._give(worker, "become actor", runtime_env, now)

    def _give(self, worker: Worker, cause: str, runtime_env: str, now: float) -> None:
        worker.move(cause, now)
        worker.runtime_env = runtime_env
        worker.asked_to_leave = None
        del self._idle[worker.token]
        self.changed[worker.token] = worker

    def returned(self, worker: Worker, now: float) -> None:
        """Its client has let it go."""
        worker.blocked = worker.never_returned = False
        self._workers_work()
        if worker.state == LEASED and worker.retires:
            self._retired(worker, now)
        elif worker.state == LEASED:
            self._become_idle(worker, "return", now)

    def block(self, worker: Worker, blocked: bool) -> bool:
        """It waits, or goes on. False if nothing changed."""
        if worker.blocked == blocked or worker.state not in (LEASED, ACTOR, DYING):
            return False
        worker.blocked = blocked
        self.changed[worker.token] = worker
        return True

    # -- the way out

    def _ask_to_leave(self, worker: Worker, now: float) -> list[Any]:
        worker.asked_to_leave = now
        return [Send(worker.address, ExitWorker())]

    def retire(self, worker: Worker, now: float) -> None:
        """It takes no more tasks (rule 6)."""
        worker.retires = True
        if worker.state == IDLE:
            del self._idle[worker.token]
            self._retired(worker, now)
        elif worker.state == ACTOR:
            worker.actor_id, worker.incarnation = b"", 0
            self._retired(worker, now)

    def _retired(self, worker: Worker, now: float) -> None:
        worker.move("retire", now)
        self.changed[worker.token] = worker

    def leaves(self, worker: Worker, why: str, now: float) -> None:
        """It says goodbye; its process ends by itself."""
        idle = worker.state == IDLE and worker.asked_to_leave is not None
        self._end(worker, why or ("it was idle" if idle else "it left"), now, intended=True)
        worker.deadline = now + self._config.interrupt_patience_s

    def kill(self, worker: Worker, reason: str, now: float, *, intended: bool) -> list[Any]:
        """End its process now."""
        self._end(worker, reason, now, intended=intended)
        worker.deadline = now + TERM_PATIENCE_S
        return [EndProcess(worker.token, force=True)]

    def _end(self, worker: Worker, reason: str, now: float, *, intended: bool) -> None:
        if worker.state == STARTING:
            self._starting -= 1
        if worker.state != DYING:
            self._dying += 1
        self._idle.pop(worker.token, None)
        worker.move("end", now, reason)
        worker.intended = worker.intended or intended
        worker.ended_because = worker.ended_because or reason
        self.changed[worker.token] = worker

    def exited(self, token: str, pid: int, reason: str, now: float, *, began: bool = False) -> Worker | None:
        """Its process has ended (or never began). None if that is known already.

        Parameters
        ----------
        began
            It had begun a task, so whatever ended it, it had started well.
        """
        worker = self.workers.pop(token, None)
        if worker is None:
            return None
        if worker.state == DYING:
            self._dying -= 1
        elif worker.state == STARTING:
            self._starting -= 1
            self._start_failed(reason, now)
        elif began:
            self._workers_work()
        elif worker.state != ACTOR and worker.never_returned and now - worker.joined < SHORT_LIFE_S:
            self._start_failed(reason, now)
        self._idle.pop(token, None)
        self.by_address.pop(worker.address, None)
        worker.pid = worker.pid or pid
        worker.move("exit", now, reason)
        worker.ended_because = f"{worker.ended_because}: {reason}" if worker.ended_because else reason
        worker.blocked = False
        self.changed[token] = worker
        self.limit_told = False
        return worker

    def _start_failed(self, reason: str, now: float) -> None:
        self.start_failures += 1
        self.start_failure = reason
        if self.start_failures > 1:  # once may be anybody's kill
            pause = START_PAUSE_S_MIN * 2 ** min(self.start_failures - 2, 10)
            self._no_order_before = now + min(pause, START_PAUSE_S_MAX)

    def _workers_work(self) -> None:
        self.start_failures, self._no_order_before = 0, 0.0

    # -- time

    def stopped(self, tokens: frozenset[str], now: float) -> None:
        """Which of them the process table shows as stopped."""
        for worker in self.workers.values():
            if worker.token not in tokens:
                worker.stopped_since = None
            elif worker.stopped_since is None:
                worker.stopped_since = now

    def tick(self, now: float) -> list[Any]:
        """Deadlines (rule 5) and idle ones (rule 4)."""
        effects: list[Any] = []
        if self.start_failures and any(w.address and now - w.joined >= SHORT_LIFE_S for w in self.workers.values()):
            self._workers_work()
        for worker in self.workers.values():
            if worker.stopped_since is not None and now - worker.stopped_since >= STOPPED_PATIENCE_S:
                if worker.state != DYING:
                    reason = f"it had been stopped (SIGSTOP) for {STOPPED_PATIENCE_S:.0f} s"
                    effects += self.kill(worker, reason, now, intended=False)
            elif worker.deadline is not None and now >= worker.deadline:
                if worker.state == STARTING:
                    reason = f"it did not start within {self._config.worker_start_timeout_s:g} s"
                    self.start_failures += 1
                    self.start_failure = reason
                    effects += self.kill(worker, reason, now, intended=False)
                else:
                    effects += self.kill(worker, "it did not end in time", now, intended=worker.intended)
        return effects + self._reap(now)

    def resize(self, cpus: int, now: float) -> list[Any]:
        """Keep as many workers as this from now on."""
        self._shrinking = cpus < self.cpus
        self.cpus = cpus
        return self._reap(now)

    def _kept(self) -> int:
        """Those that count towards the number that is kept."""
        return sum(1 for w in self.workers.values() if w.state in (IDLE, LEASED, STARTING) and not w.blocked)

    def _reap(self, now: float) -> list[Any]:
        surplus = len(self._idle) - self.cpus
        if self._shrinking:
            surplus = self._kept() - self.cpus
            self._shrinking = surplus > 0
        effects: list[Any] = []
        patience = self._config.worker_idle_s
        for worker in self._idle.values():
            if surplus <= 0 or (now - worker.since < patience and not self._shrinking):
                break
            surplus -= 1
            if worker.asked_to_leave is None or now - worker.asked_to_leave >= patience:
                effects += self._ask_to_leave(worker, now)
        return effects

    @property
    def settled(self) -> bool:
        """No worker is on its way in or out."""
        return not (self._starting or self._dying)

    def next_order_in_s(self, now: float) -> float:
        """Seconds until workers may be ordered again after failures."""
        return max(0.0, self._no_order_before - now)

    # -- what others see

    def take_changed(self, wall_minus_now: float) -> list[WorkerListing]:
        """Listings of what changed since the last call."""
        listings = [worker.listing(wall_minus_now) for worker in self.changed.values()]
        self.changed.clear()
        return listings

    def all_changed(self) -> None:
        """List all the living the next time."""
        self.changed.update(self.workers)

    def statistics(self) -> dict[str, int]:
        """Workers by state."""
        counts: dict[str, int] = dict.fromkeys((STARTING, IDLE, LEASED, ACTOR, RETIRED, DYING), 0)
        for worker in self.workers.values():
            counts[worker.state] += 1
        counts["blocked"] = sum(1 for worker in self.workers.values() if worker.blocked)
        return counts

    def check(self) -> None:
        """Raise `AssertionError` where an invariant does not hold."""
        states = self.statistics()
        assert (self._starting, self._dying) == (states[STARTING], states[DYING]), (self, states)
        assert {w.token for w in self.workers.values() if w.state == IDLE} == set(self._idle)
        assert len(self.workers) <= self._config.workers_max
        for address, worker in self.by_address.items():
            assert worker.address == address, worker
            assert self.workers.get(worker.token) is worker, worker
        for worker in self.workers.values():
            assert worker.state != DEAD, worker
            assert worker.state in (IDLE, LEASED, ACTOR, RETIRED) or worker.deadline is not None, worker
            assert (worker.state == ACTOR) <= bool(worker.actor_id), worker
            assert not (worker.blocked and worker.state in (IDLE, STARTING, RETIRED)), worker
