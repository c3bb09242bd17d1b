"""Why a demand waits: one sentence, and what to do about it. Pure words over what `leases` and `worker_pool` know."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.core.grants import Demand
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.placement import CPU, Vector, describe, lacking
from raynb.runtime.core.worker_pool import ACTOR, START_FAILURES_TOLD, WorkerPool

HOLDERS_MAX = 200
USERS_SHOWN = 3


class Holding(Struct, frozen=True):
    """Who holds some of a resource that is lacking: a worker, for a client's tasks or for an actor.

    Attributes
    ----------
    worker_id
        In hex.
    name
        A function of the scheduling class, which need not be the one that runs; an actor's own name.
    client
        Whose tasks run there; empty for an actor.
    actor_id
        In hex; empty where it is no actor.
    """

    worker: str
    worker_id: str
    pid: int
    name: str
    client: str
    actor_id: str = ""


class Shortage(Struct, frozen=True):
    """The first resource that is not there. Units are those of `placement`."""

    resource: str
    needed: int
    total: int
    free: int
    actors_hold: int
    """Of it, what actors keep for life."""
    holdings: list[Holding] = []
    other_nodes: int = 0
    """So many others there are, none of which has room."""


class Reason(Struct, frozen=True):
    """Travels to people as JSON.

    Attributes
    ----------
    kind
        served | infeasible | resources | worker
    sentence
        Begins with the demand's ``name``.
    waits_s
        Seconds that it has waited for its next worker.
    holders
        What holds the resources that it lacks: (name, how many).
    name
        A function of the class that waits, or the actor.
    shortage
        With ``resources``: what is lacking, from which others may make a sentence with better names.
    pid
        With ``served``, of an actor: its process.
    group
        With ``infeasible``: the placement group, in hex, in which it is to run; empty: in none.
    """

    kind: str
    sentence: str
    fix: str = ""
    waits_s: float = 0.0
    holders: list[tuple[str, int]] = []
    name: str = ""
    shortage: Shortage | None = None
    pid: int = 0
    group: str = ""

    @property
    def predicate(self) -> str:
        """The sentence without its subject and its full stop."""
        return self.sentence.removeprefix(f"{self.name or 'It'} ").removesuffix(".")


def explain_actor(actor_id: bytes, leases: Leases, pool: WorkerPool, now: float, other_nodes: int = 0) -> Reason:
    """Why an actor has no process here, or which it has."""
    demand = leases.actors.get(actor_id)
    if demand is not None:
        return explain(demand, leases, pool, now, other_nodes)
    worker = next((w for w in pool.workers.values() if w.actor_id == actor_id and w.state == ACTOR), None)
    if worker is None:
        return Reason("served", "It does not wait for a worker here: nobody has asked for one.")
    return Reason("served", f"It does not wait for a worker: it has one (pid {worker.pid}).", pid=worker.pid)


def explain(demand: Demand | None, leases: Leases, pool: WorkerPool, now: float, other_nodes: int = 0) -> Reason:
    """Why this demand has no more workers than it has; None: nobody knows of it."""
    if demand is None or demand.missing <= 0:
        have = len(demand.grants) if demand is not None else 0
        count = f"{have} worker{'s' if have != 1 else ''}" if have else "no worker"
        return Reason("served", f"It does not wait for workers: it has {count}, as many as it asked for.")
    name = demand.name
    if demand.infeasible:
        sentence, _, fix = demand.infeasible.partition(". ")
        group = (group_of(demand.need) or b"").hex()
        return Reason("infeasible", f"{sentence}.", fix, now - demand.since, name=name or "a task", group=group)
    missing = lacking(demand.need, leases.available)
    if missing:
        return _for_resources(demand, missing, leases, pool, now, 0 if demand.sent_on else other_nodes)
    if pool.start_failures >= START_FAILURES_TOLD:
        return Reason(
            "worker",
            f"{name or 'It'} waits for a worker process, and {pool.start_failures} of them in a row could not "
            f"start: {pool.start_failure}.",
            "Look into the worker logs of the session; an import that fails in a new process is the usual cause.",
            now - demand.since,
            name=name,
        )
    ahead = leases.waiting().index(demand)
    sentence = f"{name or 'It'} waits for a worker process to start" + (f"; {ahead} ahead of it." if ahead else ".")
    return Reason("worker", sentence, "This takes some milliseconds; nothing to do.", now - demand.since, name=name)


def _for_resources(
    demand: Demand, missing: Vector, leases: Leases, pool: WorkerPool, now: float, other_nodes: int
) -> Reason:
    name = next(iter(missing))
    holdings: list[Holding] = []
    actors_hold = 0
    for grant in leases.by_number.values():
        if not any(lacked in missing for lacked in grant.held):
            continue
        worker, start = pool.workers[grant.token], grant.demand.start
        if start is not None:
            actors_hold += grant.held.get(name, 0)
        holdings.append(
            Holding(
                worker.address,
                worker.worker_id.hex(),
                worker.pid,
                grant.demand.name or "a task",
                grant.demand.client,
                start.actor_id.hex() if start is not None else "",
            )
        )
    shortage = Shortage(
        name,
        demand.need[name],
        leases.total.get(name, 0),
        leases.available.get(name, 0),
        actors_hold,
        holdings[:HOLDERS_MAX],
        other_nodes,
    )
    users = Counter(holding.name for holding in holdings).most_common(10)
    sentence = f"{demand.name or 'It'} {shortage_words(shortage, users)}."
    return Reason("resources", sentence, shortage_fix(shortage), now - demand.since, users, demand.name, shortage)


def shortage_words(shortage: Shortage, users: list[tuple[str, int]]) -> str:
    """What waits lacks this, in words without a subject: ``waits for 1 CPU: all of ...``.

    Parameters
    ----------
    users
        Who has it: (name, how many), the most first.
    """
    name = shortage.resource
    need = describe({name: shortage.needed})
    words = f"waits for {need}: all of the node's {describe({name: shortage.total})} is taken"
    if shortage.free > 0:
        words = f"waits for {need}: only {describe({name: shortage.free})} is free"
    shown = [f"{count} x {who}" for who, count in users[:USERS_SHOWN]]
    if shown:
        words = f"{words} (by {', '.join(shown)})"
    if shortage.other_nodes:
        many = (
            f"none of the {shortage.other_nodes} other nodes has"
            if shortage.other_nodes > 1
            else "the other node has no"
        )
        words = f"{words}, and {many} room"
    return words


def shortage_fix(shortage: Shortage) -> str:
    """What to do about it."""
    name = shortage.resource
    if shortage.total - shortage.actors_hold < shortage.needed:
        less = "num_cpus=0." if name == CPU else "less."
        return f"Actors keep their resources for life: end one with ray.kill(), or create them with {less}"
    if name == CPU:
        return "It starts when one of them ends; smaller num_cpus or more CPUs let more run at once."
    return f"It starts when one of them ends; ask for less {name} to let more run at once."
