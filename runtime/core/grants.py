"""What waits for a part of a node, and what has one: the words of `leases`."""

from __future__ import annotations

from raynb.runtime.core.gpus import Taken
from raynb.runtime.core.placement import Vector
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.strategy import Strategy


class Demand:
    """What one client wants of one class, or an actor that is to be started (then ``start`` is set)."""

    __slots__ = (
        "client",
        "count",
        "grants",
        "home",
        "infeasible",
        "key",
        "name",
        "need",
        "number",
        "retriable",
        "runtime_env",
        "sent_on",
        "since",
        "spills",
        "start",
        "stays",
        "strategy",
        "wait",
    )

    def __init__(self, client: str, key: int, need: Vector, now: float) -> None:
        self.client = client
        self.key = key
        self.need = need
        self.count = 0
        self.home = ""
        """The client's own manager, where that is another node's."""
        self.sent_on = False
        """It was sent here by another manager (`spillback`)."""
        self.number = 0
        """Of the client's statement, where it was sent on."""
        self.wait = True
        """Whether it waits for what it doesn't get at once."""
        self.strategy: Strategy | None = None
        """Where it is to run; for `spillback` alone."""
        self.stays = 0
        """How many of those that are missing `spillback` has decided to have here."""
        self.spills: list[tuple[int, int]] = []
        """What was sent on, and is still in what the client says: the number of the spill, and how much."""
        self.name = ""
        self.runtime_env = ""
        self.retriable = True
        """Whether what it runs is tried again, or restarts, if its worker dies."""
        self.start: StartActor | None = None
        self.grants: dict[int, Grant] = {}
        self.since = now
        """Since when it waits for the next one."""
        self.infeasible = ""

    def __repr__(self) -> str:
        what = f"actor {self.name}" if self.start is not None else f"{self.name or 'class'} #{self.key}"
        return f"<Demand {what} of {self.client}: {len(self.grants)}/{self.count}>"

    @property
    def missing(self) -> int:
        return self.count - len(self.grants)


class Grant:
    """A worker with resources, given to a client (or an actor) under a number that is never used again."""

    __slots__ = ("at", "blocked", "demand", "gpus", "held", "number", "reclaimed", "token")

    def __init__(self, number: int, demand: Demand, token: str, now: float) -> None:
        self.number = number
        self.demand = demand
        self.token = token
        self.held: Vector = dict(demand.need)
        self.gpus: Taken | None = None
        self.blocked = False
        self.reclaimed = False
        self.at = now

    @property
    def all_gpus(self) -> list[Taken]:
        """What it has of GPUs: nothing, or one."""
        return [] if self.gpus is None else [self.gpus]

    def __repr__(self) -> str:
        return f"<Grant {self.number} of {self.token} to {self.demand!r}{' blocked' if self.blocked else ''}>"


class Outcome:
    """What `Leases.serve` found: new grants, units that lack only a worker, what lacks more, and leases to ask back."""

    __slots__ = ("claims", "granted", "reclaim", "unmet", "workers_wanted")

    def __init__(self) -> None:
        self.granted: list[Grant] = []
        self.claims: list[Demand] = []
        """Those for which there is enough now."""
        self.workers_wanted = 0
        self.reclaim: dict[str, list[int]] = {}
        self.unmet: list[tuple[Demand, int]] = []
        """Those that lack resources, and for how many workers."""
