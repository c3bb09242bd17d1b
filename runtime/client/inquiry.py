"""Follows the question why a value is not there to its answer: owner, node manager, worker, GCS; from object to object.

Every word rests on somebody's table: the submitter's of its tasks, the node manager's of its leases, the worker's own
of what it runs, the GCS's of actors and of what has ended. Who does not answer in time is said not to answer.
"""

from __future__ import annotations

import json
import time
from _thread import allocate_lock
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from raynb.runtime.client.why import Step, Why, said, span
from raynb.runtime.client.why_actor import of_actor
from raynb.runtime.client.why_ended import of_gone, of_settled
from raynb.runtime.core.inbox import Answer, Ask, AskWhy, StopAsking
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.core.why_waiting import Reason, Shortage, shortage_words
from raynb.runtime.messages import Message
from raynb.runtime.messages.gcs import Query, Reply
from raynb.runtime.messages.node import StoreUsage, WhyWaiting
from raynb.runtime.messages.sizes import size_text
from raynb.runtime.messages.why import (
    Alive,
    Creating,
    Elsewhere,
    Finding,
    Gone,
    Held,
    Inputs,
    Pushed,
    Queued,
    Settled,
    Unmade,
    WhatRuns,
    WhyObject,
    WorkerRuns,
    decode_finding,
    decode_worker_runs,
)

if TYPE_CHECKING:
    from raynb.runtime.client.client import Client

PATIENCE_S = 3.0
"""For daemons and for owners."""

WORKER_PATIENCE_S = 0.7
"""For a worker, which may hold the interpreter lock."""

CHAIN_MAX = 50
ATTEMPTS = 3
"""What is followed may end meanwhile: then it is followed anew."""

RUNNING_ROWS_MAX = 1000

_IT_RUNS = "It is at work: ray.get() waits for it, ray.cancel() stops it."


class Inquiry:
    """One question, asked by a thread of this process."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def object(self, oid: bytes, owner: str = "") -> Why:
        """Why an object has no value. Without an owner it must be one that this process knows."""
        steps = self._follow(oid, owner)
        for _ in range(ATTEMPTS):
            if len(steps) == 1 or steps[-1].kind != "finished":
                break
            steps = self._follow(oid, owner)
        return said(steps)

    def circle(self, oid: bytes) -> Why | None:
        """Why an object of this process's never has a value: what makes it waits for it. None where that is not so."""
        steps = self._follow(oid, "")
        root = steps[-1]
        return said(steps) if root.kind == "deadlock" and root.follow is not None and root.follow[0] == oid else None

    def actor(self, actor_id: bytes, oid: bytes, owner: str) -> Why:
        """Why an actor does not run. ``oid``: the object that stands for it; empty where there is none here."""
        return self.object(oid, owner) if oid else said(of_actor(self, actor_id))

    def _follow(self, oid: bytes, owner: str) -> list[Step]:
        steps: list[Step] = []
        asked: dict[bytes, str] = {}
        place: tuple[bytes, str] | None = (oid, owner)
        while place is not None:
            oid = place[0]
            if oid in asked:
                last = steps[-1]
                fix = "Let one of them not wait: pass the reference on as an argument, or return it."
                words = f"{last.words} {asked[oid]}, so neither ends"
                steps[-1] = replace(last, kind="deadlock", words=words, fix=fix, follow=place)
                break
            if len(steps) >= CHAIN_MAX:
                steps[-1] = replace(steps[-1], words=f"{steps[-1].words} yet another; the chain is longer than this")
                break
            found = self._steps(*place)
            asked[oid] = found[0].subject
            steps += found
            place = found[-1].follow
        return steps

    def _steps(self, oid: bytes, owner: str) -> list[Step]:
        """The next links of the chain; the last one says where it goes on."""
        finding = self._find(oid, owner)
        match finding:
            case Settled():
                return of_settled(self, oid, finding)
            case Inputs():
                return [_for_inputs(finding)]
            case Queued():
                return [self._for_a_worker(finding)]
            case Pushed():
                return self._in_a_worker(finding)
            case Held():
                return self._for_an_actor(finding)
            case Creating(actor_id=actor_id) | Alive(actor_id=actor_id):
                return of_actor(self, actor_id)
            case Unmade():
                return [Step("unknown", f"object {oid.hex()}", "has no value yet, and no task that is known makes it")]
            case Gone():
                return of_gone(self, oid)
        words = "can't be looked into: the process that owns it does not answer (it is busy, stopped, or gone)"
        return [Step("unknown", f"object {oid.hex()}", words, "Ask again.")]

    # -- facts

    def _find(self, oid: bytes, owner: str) -> Finding | None:
        here = self._client.address
        found = self._find_here(oid)
        if isinstance(found, Elsewhere):
            owner = found.owner
        elif not isinstance(found, Gone) or owner in ("", here):
            return found
        reply = self.ask(owner, WhyObject(0, oid), PATIENCE_S)
        return None if reply is None else decode_finding(reply.data)

    def _find_here(self, oid: bytes) -> Finding | None:
        answer, lock = _answer()
        self._client.post(AskWhy(oid, answer))
        lock.acquire(timeout=PATIENCE_S)
        return decode_finding(answer.reply.data) if isinstance(answer.reply, Reply) else None

    def ask(self, to: str, message: Message, patience_s: float = PATIENCE_S) -> Reply | None:
        """The reply to a request; None if there was none in time, or it was refused."""
        answer, lock = _answer()
        self._client.post(Ask(to, message, answer))
        try:
            lock.acquire(timeout=patience_s)
        finally:
            if answer.reply is None:
                self._client.post(StopAsking(answer))
        reply = answer.reply
        return reply if isinstance(reply, Reply) and reply.error is None else None

    def rows(self, table: str, **how: Any) -> list[dict[str, Any]]:
        """Rows of one of the GCS's tables, all their fields; none where it does not answer."""
        if table == "tasks":
            self._client.flush_events()
        reply = self.ask(self._client.gcs, Query(0, table, detail=True, **how))
        if reply is None:
            return []
        found: list[dict[str, Any]] = msgspec.msgpack.decode(reply.data)["rows"]
        return found

    def reason(self, message: WhyWaiting, node_manager: str = "") -> Reason | None:
        """What a node manager says to why something has no worker."""
        reply = self.ask(node_manager or self._client.node_manager, message)
        return None if reply is None else msgspec.json.decode(reply.data, type=Reason)

    def what_run(self, workers: Iterable[str]) -> dict[str, WorkerRuns]:
        """The same of many, asked at once; those that don't answer in time are missing."""
        asked = {worker: _answer() for worker in workers}
        for worker, (answer, _) in asked.items():
            self._client.post(Ask(worker, WhatRuns(0, b""), answer))
        deadline = time.monotonic() + WORKER_PATIENCE_S
        found: dict[str, WorkerRuns] = {}
        for worker, (answer, lock) in asked.items():
            lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
            if answer.reply is None:
                self._client.post(StopAsking(answer))
            elif isinstance(answer.reply, Reply) and answer.reply.error is None:
                found[worker] = decode_worker_runs(answer.reply.data)
        return found

    def what_runs(self, worker: str, task_id: bytes = b"") -> WorkerRuns | None:
        """What a worker says that it runs."""
        reply = self.ask(worker, WhatRuns(0, task_id), WORKER_PATIENCE_S)
        return None if reply is None else decode_worker_runs(reply.data)

    # -- a task waits for a worker

    def _for_a_worker(self, found: Queued) -> Step:
        name, ahead = found.task.name, _ahead(found.ahead)
        reason = self.reason(WhyWaiting(0, found.key, found.client), found.node_manager)
        if reason is None:
            return Step("unknown", name, f"waits for a worker{ahead}; its node manager does not answer", "Ask again.")
        if reason.kind == "served":
            running = ", ".join(dict.fromkeys(running for _, running in found.running))
            if not running:
                return Step("worker", name, f"is about to be sent to a worker{ahead}", "This takes some milliseconds.")
            words = f"waits for one of the workers that its submitter has, which run {running}{ahead}"
            return Step("behind", name, words, "It starts when one of them ends.")
        if reason.group and (step := self._for_a_group(name, reason.group)) is not None:
            return step
        return Step(reason.kind, name, f"{self.words_of(reason, dict(found.running))}{ahead}", reason.fix)

    def _for_a_group(self, name: str, group: str) -> Step | None:
        """It waits for its placement group; None if that is there, or not known."""
        rows = self.rows("placement_groups", id=group)
        why = rows[-1]["stats"]["why"] if rows else ""
        if not why:
            return None
        title = rows[-1]["name"] or group[:8]
        words = f"waits for placement group {title}, which is {str(rows[-1]['state']).lower()}: {why.rstrip('.')}"
        fix = "Let others end, ask for smaller bundles, or remove the group: remove_placement_group(pg)."
        return Step("placement group", name, words, fix)

    def words_of(self, reason: Reason, running: dict[str, str] | None = None) -> str:
        """A node manager's reason, with the names of what runs now. ``running``: by worker, as far as that is known."""
        if reason.shortage is None:
            return reason.predicate
        return shortage_words(reason.shortage, self._users(reason.shortage, running or {}))

    def _users(self, shortage: Shortage, running: dict[str, str]) -> list[tuple[str, int]]:
        if any(not holding.actor_id and holding.worker not in running for holding in shortage.holdings):
            rows = self.rows("tasks", filters=[("state", "=", "RUNNING")], limit=RUNNING_ROWS_MAX)
            told = {row["worker_id"]: row["name"] for row in rows}
        else:
            told = {}
        users: Counter[str] = Counter()
        for holding in shortage.holdings:
            name = holding.name
            if not holding.actor_id:
                name = running.get(holding.worker) or told.get(holding.worker_id) or name
            users[f"actor {name}" if holding.actor_id else name] += 1
        return users.most_common()

    # -- a task is in a worker, or in an actor

    def _in_a_worker(self, found: Pushed) -> list[Step]:
        task, runs = found.task, self.what_runs(found.worker, found.task.id)
        pid = found.pid or (runs.pid if runs is not None else 0)
        if task.cancelled:
            words = f"was cancelled, and its process{_pid(pid)} has not listened yet"
            return [Step("cancelled", task.name, words, "ray.cancel(ref, force=True) ends the process.")]
        if runs is None:
            return self._as_the_submitter_sees_it(found, pid)
        mine = next((run for run in runs.running if run.id == task.id), None)
        if mine is not None:
            return [self._running(found.worker, runs, task.name, mine.started)]
        if runs.setting_up:
            words = f"waits for its runtime_env, which is being set up in a worker{_pid(pid)} ({runs.setting_up})"
            return [Step("runtime env", task.name, words)]
        if runs.ahead < 0:
            return self._as_the_submitter_sees_it(found, pid)
        waits = self._behind(found, pid, runs.ahead + bool(runs.running))
        if not runs.running:
            return [replace(waits, words=f"{waits.words} what is about to start there")]
        first = runs.running[0]
        return [waits, self._running(found.worker, runs, first.name, first.started)]

    def _as_the_submitter_sees_it(self, found: Pushed, pid: int) -> list[Step]:
        task = found.task
        if not found.ahead:
            # Also while its result is written: then it is none of the worker's running tasks any more.
            ran = f"has been running for {span(task.since_s)}{_pid(pid)}"
            return [self._for_the_store(found.worker, task.name, ran) or Step("running", task.name, ran, _IT_RUNS)]
        running = Step("running", found.ahead[0], f"runs there{_pid(pid)}", _IT_RUNS)
        return [self._behind(found, pid, len(found.ahead)), running]

    @staticmethod
    def _behind(found: Pushed, pid: int, ahead: int) -> Step:
        number = f"{ahead} {'call' if found.actor_id else 'task'}{'s are' if ahead != 1 else ' is'} ahead of it"
        if found.actor_id:
            fix = "An actor runs its calls in order: max_concurrency lets it run several at once, a second actor too."
            return Step("order", found.task.name, f"waits for its turn ({number}) behind", fix)
        fix = "It is taken back if another worker has nothing to do."
        return Step(
            "behind", found.task.name, f"was sent to a worker{_pid(pid)} and waits there ({number}) behind", fix
        )

    def _running(self, worker: str, runs: WorkerRuns, name: str, started: float) -> Step:
        ran = f"has been running for {span(max(0.0, time.time() - started))}{_pid(runs.pid)}"
        if len(runs.running) == 1 and runs.waits_for:
            awaited = runs.waits_for[0]
            return Step("running", name, f"{ran} and waits in get() for", follow=(awaited.oid, awaited.owner))
        return self._for_the_store(worker, name, ran) or Step("running", name, ran, _IT_RUNS)

    def _for_the_store(self, worker: str, name: str, ran: str) -> Step | None:
        """It stands still because its result does not fit into the store."""
        reply = self.ask(self._client.node_manager, StoreUsage(0))
        usage: dict[str, Any] = json.loads(reply.data) if reply is not None else {}
        waiting = next((each for each in usage.get("waiting", ()) if each["address"] == worker), None)
        if waiting is None:
            return None
        return Step("store", name, *_store_is_full(ran, waiting, usage))

    def put(self) -> Why | None:
        """Why a `put` of this process does not return; None if it does not wait for room in the store."""
        step = self._for_the_store(self._client.address, "put()", "")
        return said([step]) if step is not None else None

    # -- a call waits for its actor

    def _for_an_actor(self, found: Held) -> list[Step]:
        name = found.task.name
        if found.blocker and found.unsettled:
            fix = "An actor runs one caller's calls in order."
            first = Step("order", name, f"waits for its turn ({found.ahead} ahead of it) behind", fix)
            place = found.unsettled[0]
            return [first, Step("input", found.blocker, "waits for its input", follow=(place.oid, place.owner))]
        if found.ending:
            return [Step("restarting", name, "waits until it is known what becomes of its actor, which is being ended")]
        if found.state == "ALIVE":
            return [Step("order", name, f"is about to be sent to its actor ({found.ahead} ahead of it)")]
        return [Step("actor", name, "waits for its actor"), *of_actor(self, found.actor_id)]


def _store_is_full(ran: str, waiting: dict[str, Any], usage: dict[str, Any]) -> tuple[str, str]:
    """What is to be said of what waits for room, and what to do."""
    holders = [
        f"{size_text(holder['size'])} in {holder['objects']} object{'s' * (holder['objects'] != 1)} "
        f"of {holder['owner']}" + (f" ({holder['note']})" if holder["note"] else "")
        for holder in usage["holders"][:3]
    ]
    words = f"{ran} and has waited" if ran else "has waited"
    words += (
        f" {span(waiting['waits_s'])} for {size_text(waiting['size'])} of the object store, which is full: "
        f"{size_text(usage['used_bytes'])} of {size_text(usage['capacity_bytes'])} are taken"
    )
    words += f", {'; '.join(holders)}" if holders else ""
    fix = "Let go of references (variables and Out[...] hold them), or give init() more object_store_memory."
    return words, fix


def _answer() -> tuple[Answer, Any]:
    lock = allocate_lock()
    lock.acquire()
    return Answer(Waiter(1, lock.release)), lock


def _for_inputs(found: Inputs) -> Step:
    name, missing = found.task.name, len(found.unsettled)
    if not missing:
        return Step("worker", name, "has all its inputs and is about to be queued", "Ask again.")
    words = "waits for its input" if missing == 1 else f"waits for {missing} inputs, first of all for"
    place = found.unsettled[0]
    return Step("input", name, words, follow=(place.oid, place.owner))


def _ahead(count: int) -> str:
    return f"; {count} task{'s are' if count != 1 else ' is'} queued ahead of it" if count else ""


def _pid(pid: int) -> str:
    return f" (pid {pid})" if pid else ""
