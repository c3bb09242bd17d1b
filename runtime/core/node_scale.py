"""How many CPUs a node offers, which may change while it runs.

Rules
-----
1. More: they can be granted at once, and workers are ordered for them. Fewer: nothing that runs is ended; nothing is
   granted until what is held fits into the new total, and idle workers beyond it are asked to leave.
2. What waits and can't be met any more is told so, as if it were new; an actor that has yet to be started waits until
   the node has more again.
3. Who asked is answered when the GCS knows the new total: whoever asks the GCS afterwards sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from raynb.runtime.core.effects import Send
from raynb.runtime.core.grants import Demand
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_effects import Say
from raynb.runtime.core.node_reports import NodeReports
from raynb.runtime.core.placement import CPU, UNITS, Vector, to_units
from raynb.runtime.core.worker_pool import WorkerPool
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.node import LeaseInfeasible, ScaleNode
from raynb.runtime.messages.values import Failed


def workers_for(total: Vector, cores: int) -> int:
    """How many workers a node keeps: one for each CPU that it offers, but no more than it really has (0: unknown)."""
    cpus = -(-total.get(CPU, 0) // UNITS)
    return max(1, min(cpus, cores or cpus))


class Scaling:
    """Changes a node's CPUs. See the module's rules.

    Parameters
    ----------
    cores
        How many the machine really has.
    why_infeasible
        Why no node can meet a demand that this one can't; empty if another can.
    """

    def __init__(
        self,
        cores: int,
        leases: Leases,
        pool: WorkerPool,
        reports: NodeReports,
        why_infeasible: Callable[[Demand], str],
    ) -> None:
        self._why_infeasible = why_infeasible
        self._cores = cores
        self._leases = leases
        self._pool = pool
        self._reports = reports
        self._asked: list[tuple[str, int]] = []
        """Who is to be answered: address, and the number of the request."""

    def scale(self, sender: str, message: ScaleNode, drivers: list[str], now: float) -> list[Any]:
        """Offer another number of CPUs. The host of these rules grants what can be granted afterwards."""
        try:
            cpus = to_units({CPU: message.num_cpus})
        except ValueError as error:
            return [Send(sender, Reply(message.request, error=Failed("ValueError", str(error))))]
        total = {name: value for name, value in self._leases.total.items() if name != CPU} | cpus
        before = self._leases.total.get(CPU, 0) / UNITS
        effects: list[Any] = [Say("info", f"scaled from {before:g} to {message.num_cpus:g} CPUs by {sender}")]
        for demand in self._leases.set_total(total, now):
            if demand.start is None and (why := self._why_infeasible(demand)):
                effects.append(Send(demand.client, LeaseInfeasible(demand.key, why)))
        effects += self._pool.resize(workers_for(total, self._cores), now)
        self._asked.append((sender, message.request))
        return effects + self._reports.scaled(drivers, now)

    def registered(self) -> list[Any]:
        """The GCS knows the node as it is now: rule 3."""
        asked, self._asked = self._asked, []
        leases = self._leases
        held = {"held": (leases.total.get(CPU, 0) - leases.available.get(CPU, 0)) / UNITS}
        return [Send(sender, Reply(request, msgspec.json.encode(held))) for sender, request in asked]

    def forget(self, client: str) -> None:
        """It is gone, and waits for no answer."""
        self._asked = [(sender, request) for sender, request in self._asked if sender != client]
