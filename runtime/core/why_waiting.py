"""Why a demand waits: one sentence, and what to do about it. Pure words over what `leases` and `worker_pool` know."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from raynb.runtime.core.leases import Demand, Leases
from raynb.runtime.core.placement import CPU, describe, lacking
from raynb.runtime.core.worker_pool import START_FAILURES_TOLD, WorkerPool


class Reason(Struct, frozen=True):
    """Travels to people as JSON.

    Attributes
    ----------
    kind
        served | infeasible | resources | worker
    waits_s
        Seconds that it has waited for its next worker.
    holders
        What holds the resources that it lacks: (name, how many).
    """

    kind: str
    sentence: str
    fix: str = ""
    waits_s: float = 0.0
    holders: list[tuple[str, int]] = []


def explain(demand: Demand | None, leases: Leases, pool: WorkerPool, now: float) -> Reason:
    """Why this demand has no more workers than it has; None: nobody knows of it."""
    if demand is None or demand.missing <= 0:
        have = len(demand.grants) if demand is not None else 0
        count = f"{have} worker{'s' if have != 1 else ''}" if have else "no worker"
        return Reason("served", f"It does not wait for workers: it has {count}, as many as it asked for.")
    if demand.infeasible:
        sentence, _, fix = demand.infeasible.partition(". ")
        return Reason("infeasible", f"{sentence}.", fix, now - demand.since)
    missing = lacking(demand.need, leases.available)
    if missing:
        return _for_resources(demand, missing, leases, now)
    if pool.start_failures >= START_FAILURES_TOLD:
        return Reason(
            "worker",
            f"{demand.name or 'It'} waits for a worker process, and {pool.start_failures} of them in a row could not "
            f"start: {pool.start_failure}.",
            "Look into the worker logs of the session; an import that fails in a new process is the usual cause.",
            now - demand.since,
        )
    ahead = leases.waiting().index(demand)
    sentence = f"{demand.name or 'It'} waits for a worker process to start" + (
        f"; {ahead} ahead of it." if ahead else "."
    )
    return Reason("worker", sentence, "This takes some milliseconds; nothing to do.", now - demand.since)


def _for_resources(demand: Demand, missing: dict[str, int], leases: Leases, now: float) -> Reason:
    tasks: Counter[str] = Counter()
    actors: Counter[str] = Counter()
    for grant in leases.by_number.values():
        if any(name in missing for name in grant.held):
            kind = tasks if grant.demand.start is None else actors
            kind[grant.demand.name or "a task"] += 1
    name = next(iter(missing))
    total = leases.total.get(name, 0)
    need = describe({name: demand.need[name]})
    sentence = f"{demand.name or 'It'} waits for {need}: all of the node's {describe({name: total})} is taken"
    if leases.available.get(name, 0) > 0:
        sentence = f"{demand.name or 'It'} waits for {need}: only {describe({name: leases.available[name]})} is free"
    users = [f"{count} x {who}" for who, count in (tasks + actors).most_common(3)]
    sentence += f" (by {', '.join(users)})." if users else "."
    actors_hold = sum(grant.held.get(name, 0) for grant in leases.by_number.values() if grant.demand.start is not None)
    if total - actors_hold < demand.need[name]:
        fix = "Actors keep their resources for life: end one with ray.kill(), or create them with " + (
            "num_cpus=0." if name == CPU else "less."
        )
    elif name == CPU:
        fix = "It starts when one of them ends; smaller num_cpus or more CPUs let more run at once."
    else:
        fix = f"It starts when one of them ends; ask for less {name} to let more run at once."
    return Reason("resources", sentence, fix, now - demand.since, (tasks + actors).most_common(10))
