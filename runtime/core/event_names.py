"""What the rows of the event hub refer to by number: functions, workers, and the clients that number them.

Rules
-----
1. Each client numbers its own functions and workers. A number that the hub has no definition of (it was restarted, or a
   message was lost) gets a nameless entry that its definition fills in when it comes.
2. Totals are sent as totals, so the newest count, and sums over clients are exact whatever rows were lost.
3. What a dead client had not finished will never be: it counts as failed from its death on.
4. The entries of a dead client live as long as rows refer to them; then their totals are added to those of their
   function.
5. A name has at most `NAME_CHARS_MAX` characters, whatever was sent: it goes to every screen. Functions whose names
   begin with as many are counted as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from raynb.runtime.messages.events import FAILED, FINISHED, TASK_KINDS, TASK_STATES, NameDef, TaskRows, WorkerDef
from raynb.runtime.messages.ids import actor_id_of

NO_WORKER: Final = -1
GONE_TOTALS_MAX: Final = 20_000
NAME_CHARS_MAX: Final = 300


@dataclass(slots=True, eq=False)
class Name:
    """A function or method as one client calls it from one place."""

    owner: str
    number: int
    definition: NameDef | None = None
    submitted: int = 0
    finished: int = 0
    failed: int = 0
    running: int = 0
    states: list[int] = field(default_factory=lambda: [0] * len(TASK_STATES))
    """How many rows of the table are in each state."""
    gone: bool = False
    """Its client is dead."""
    spent_s: float = 0.0
    """How long the tasks took that rows said have finished, ..."""
    timed: int = 0
    """... and how many those were."""
    began: float = 0.0
    """When the first of its tasks was submitted, as far as rows tell, in wall-clock seconds; ..."""
    ended: float = 0.0
    """... and when the last that has ended did."""
    groups: tuple[int, int] | None = None
    """Numbers of its function's and its cell's `Group`, once asked for."""

    @property
    def function(self) -> str:
        """What summaries and views are by: the name that tasks were given, or their function's."""
        return self.definition.name if self.definition else "?"

    @property
    def called(self) -> str:
        """What their function is called."""
        return self.definition.function if self.definition else "?"

    @property
    def kind(self) -> int:
        return self.definition.kind if self.definition else 0

    @property
    def job(self) -> bytes:
        return self.definition.job if self.definition else b""

    @property
    def cell(self) -> str:
        """The run of a cell that it belongs to."""
        return self.definition.cell if self.definition else ""

    @property
    def call_site(self) -> str:
        return self.definition.call_site if self.definition else ""

    def actor_of(self, task_id: bytes) -> bytes:
        """The actor that a task of this name is a call of, or makes; empty for another."""
        if TASK_KINDS[self.kind] == "ACTOR_CREATION_TASK":
            return actor_id_of(task_id)
        return self.definition.actor_id if self.definition else b""

    @property
    def unfinished(self) -> int:
        return max(0, self.submitted - self.finished - self.failed)

    @property
    def rows(self) -> int:
        """How many rows refer to it."""
        return sum(self.states)


@dataclass(slots=True)
class Totals:
    """Exact counts of a function, or of a function in a run of a cell, over all clients."""

    function: str
    kind: int
    job: bytes = b""
    cell: str = ""
    call_site: str = ""
    submitted: int = 0
    finished: int = 0
    failed: int = 0
    running: int = 0
    states: list[int] = field(default_factory=lambda: [0] * len(TASK_STATES))
    spent_s: float = 0.0
    timed: int = 0
    began: float = 0.0
    ended: float = 0.0
    groups: tuple[int, int] | None = None

    def add(self, name: Name | Totals) -> None:
        self.submitted += name.submitted
        self.finished += name.finished
        self.failed += name.failed
        self.running += name.running
        self.spent_s += name.spent_s
        self.timed += name.timed
        self.began = min(self.began or name.began, name.began or self.began)
        self.ended = max(self.ended, name.ended)
        self.call_site = name.call_site or self.call_site
        for state, rows in enumerate(name.states):
            self.states[state] += rows


def _bounded(definition: NameDef) -> NameDef:
    """Rule 5."""
    texts = {key: getattr(definition, key) for key in ("name", "function", "call_site")}
    long = {key: f"{text[: NAME_CHARS_MAX - 1]}…" for key, text in texts.items() if len(text) > NAME_CHARS_MAX}
    return msgspec.structs.replace(definition, **long) if long else definition


class RowSums:
    """What the rows of one message add to a name."""

    __slots__ = ("_ended", "_name", "_spent_s", "_timed", "states")

    def __init__(self, name: Name) -> None:
        self._name = name
        self.states = name.states
        self._spent_s = self._ended = 0.0
        self._timed = 0

    def add(self, started: float, ended: float) -> None:
        """One has ended."""
        if started:
            self._spent_s += ended - started
            self._timed += 1
        if ended > self._ended:
            self._ended = ended

    def store(self, rows: TaskRows) -> None:
        """All have been added."""
        name = self._name
        name.spent_s += self._spent_s
        name.timed += self._timed
        name.ended = max(name.ended, self._ended)
        if not name.began:
            number = name.number
            own = (when for of, when in zip(rows.names, rows.submitted, strict=True) if of == number)
            name.began = min(own, default=0.0)


@dataclass(slots=True)
class Client:
    """One that sends rows."""

    names: dict[int, int] = field(default_factory=dict)
    """Its numbers -> positions in `EventNames.names`."""
    workers: dict[int, int] = field(default_factory=dict)
    dropped: int = 0


class EventNames:
    """All names and workers, by one number for the whole table."""

    def __init__(self) -> None:
        self.names: list[Name | None] = []
        self.workers: list[WorkerDef] = []
        self.clients: dict[str, Client] = {}
        self._free: list[int] = []
        self._worker_numbers: dict[bytes, int] = {}
        self._gone: dict[tuple[str, int, bytes, str], Totals] = {}
        self._gone_names: dict[int, None] = {}
        self.dropped_by_gone = 0
        self.repr_of: Callable[[bytes], str] = lambda _: ""
        """What an actor calls itself; empty: nothing of its own."""

    def client(self, sender: str) -> Client:
        """The numbering of one client."""
        client = self.clients.get(sender)
        if client is None:
            client = self.clients[sender] = Client()
        return client

    def define(self, sender: str, client: Client, names: Iterable[NameDef], workers: Iterable[WorkerDef]) -> None:
        """Learn what numbers mean."""
        for definition in names:
            name = self.name(self.position(sender, client, definition.number))
            name.definition, name.groups = _bounded(definition), None
        for worker in workers:
            number = self._worker_numbers.get(worker.worker_id)
            if number is None:
                number = self._worker_numbers[worker.worker_id] = len(self.workers)
                self.workers.append(worker)
            client.workers[worker.number] = number

    def position(self, sender: str, client: Client, number: int) -> int:
        """The table's number for a client's; a nameless entry if it was not defined."""
        position = client.names.get(number)
        if position is None:
            if self._free:
                position = self._free.pop()
                self.names[position] = Name(sender, number)
            else:
                position = len(self.names)
                self.names.append(Name(sender, number))
            client.names[number] = position
        return position

    def name(self, position: int) -> Name:
        """An entry that is in use."""
        name = self.names[position]
        assert name is not None, f"name {position} is free"
        return name

    def shown(self, name: Name) -> str:
        """What a task of this name is called: as its actor calls itself, where it does and nobody says otherwise."""
        definition = name.definition
        if definition is None:
            return "?"
        if (
            definition.actor_id
            and definition.name == definition.function
            and (own := self.repr_of(definition.actor_id))
        ):
            return f"{own}.{definition.function.rpartition('.')[2]}"
        return definition.name

    def living(self) -> Iterator[Name]:
        """All entries."""
        return (name for name in self.names if name is not None)

    def set_totals(self, sender: str, client: Client, totals: Iterable[tuple[int, int, int, int, int]]) -> None:
        """A client's own counts since its start."""
        for number, submitted, finished, failed, running in totals:
            name = self.name(self.position(sender, client, number))
            name.submitted, name.finished = submitted, finished
            name.failed, name.running = failed, running

    def nameless(self, client: Client) -> bool:
        """Whether this client should send its definitions again."""
        return any(self.name(position).definition is None for position in client.names.values())

    def client_died(self, sender: str) -> list[int]:
        """Count its unfinished tasks as failed. Returns positions whose rows have to be failed too."""
        client = self.clients.pop(sender, None)
        if client is None:
            return []
        self.dropped_by_gone += client.dropped
        unfinished: list[int] = []
        for position in client.names.values():
            name = self.name(position)
            name.gone, name.running = True, 0
            name.failed += name.unfinished
            self._gone_names[position] = None
            if any(name.states[:FINISHED]):
                unfinished.append(position)
        return unfinished

    def sweep(self) -> None:
        """Let go of entries of dead clients that no row refers to."""
        for position in [p for p in self._gone_names if not self.name(p).rows]:
            name = self.name(position)
            self._keep_totals(name)
            self.names[position] = None
            self._free.append(position)
            del self._gone_names[position]

    def totals(self, by_job: bool = False) -> list[Totals]:
        """Exact counts by function (and job), the living's and the dead's."""
        sums: dict[tuple[str, int, bytes], Totals] = {}
        for part in self.parts():
            key = (part.function, part.kind, part.job if by_job else b"")
            found = sums.get(key)
            if found is None:
                found = sums[key] = Totals(*key)
            found.add(part)
        return list(sums.values())

    def parts(self) -> Iterator[Name | Totals]:
        """All that exact counts are the sums of: each is of one function and one run of a cell."""
        yield from self._gone.values()
        yield from self.living()

    def _keep_totals(self, name: Name) -> None:
        key = (name.function, name.kind, name.job, name.cell)
        found = self._gone.get(key)
        if found is None:
            if len(self._gone) >= GONE_TOTALS_MAX:
                key = (name.function, name.kind, b"", "")  # its function is counted still, its cell no more
            found = self._gone.setdefault(key, Totals(*key))
        found.add(name)

    @property
    def submitted(self) -> int:
        """Tasks of all clients ever."""
        return sum(n.submitted for n in self.living()) + sum(t.submitted for t in self._gone.values())

    @property
    def unfinished(self) -> int:
        """Tasks of the living clients that are not over."""
        return sum(name.unfinished for name in self.living())

    def check(self) -> None:
        """The invariants."""
        for client in self.clients.values():
            for position in client.names.values():
                assert not self.name(position).gone
        for name in self.living():
            assert min(name.states) >= 0, f"{name.function}: {name.states}"
            if name.gone:
                assert not name.unfinished, f"{name.function} of a dead client is unfinished"
                assert not any(name.states[:FINISHED]), f"{name.function}: {name.states}"
        assert len(TASK_STATES) - 1 == FAILED  # the terminal states are the last two
