"""Objects that are made, read, copied and lost in any order: each gets a value or an error, and nothing is left."""

from __future__ import annotations

from random import Random

import pytest

from raynb.runtime.core.inbox import LostValue, TakeItem
from raynb.runtime.core.task import STREAMING
from raynb.runtime.messages.copies import CopiesKept, CopyAdded, CopyDropped, KeepCopies, ValuesLost
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.objects import AddBorrowers, FreeObjects, RemoveBorrowers
from raynb.runtime.messages.tasks import TasksReturned
from raynb.runtime.messages.values import NOTHING, Inline, RefInfo, Stored
from tests.runtime.core.owner_world import HOME, LARGE, ME, OTHER, OwnerWorld

NODES = [f"ipc://node{number}/p/m" for number in range(6)]
STANDBY = "ipc://standby/p/m"
STEPS = 120
SEEDS = 100


class Chaos:
    """One seed's run. ``places`` has what lies where, as the nodes know it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = OwnerWorld(lineage_bytes_max=self.random.choice([3_000, 1_000_000]))
        self.world.standby = STANDBY
        self.held: list[bytes] = []
        self.streams: dict[bytes, int] = {}
        """By generator's own object: how many items it has yielded in this attempt."""
        self.taken: dict[bytes, int] = {}
        self.borrowed: list[bytes] = []
        self.places: set[tuple[str, bytes]] = set()

    def store(self, oid: bytes, node: str, refs: list[RefInfo] | None = None) -> Stored:
        self.places.add((node, oid))
        return self.world.stored(oid, node, refs=refs)

    def look(self) -> None:
        """Nodes do what they were told, in time."""
        for to, message in self.world.take(FreeObjects):
            self.places -= {(to, oid) for oid in message.oids}
        for to, message in self.world.take(KeepCopies):
            if to not in self.world.dead:
                kept = [oid for oid in message.oids if (to, oid) in self.places]
                gone = [oid for oid in message.oids if oid not in kept]
                self.world.tell(to, CopiesKept(kept, gone))
                self.look()

    def living(self) -> list[str]:
        return [node for node in NODES if node not in self.world.dead]

    # -- what happens

    def put(self) -> None:
        oid = self.world.put(self.random.choice([10, LARGE]), *self.some(1))
        if isinstance(self.world.value(oid), Stored):
            self.places.add((HOME, oid))
        self.held.append(oid)

    def some(self, count: int) -> tuple[bytes, ...]:
        return tuple(self.random.sample(self.held, min(count, len(self.held))))

    def call(self) -> None:
        random = self.random
        returns = random.choice([1, 1, 1, 2, STREAMING])
        oid = self.world.call(
            random.choice([HOME, *self.living()]),
            *self.some(random.randrange(3)),
            refs=self.some(random.randrange(2)),
            retries=random.choice([0, 1, 3, 3, -1]),
            returns=returns,
        )
        self.held += [oid] if returns < 2 else [oid, object_id(oid[:24], 2)]
        if returns == STREAMING:
            self.streams[oid] = 0

    def end(self) -> None:
        if self.world.running:
            task_id = self.random.choice(list(self.world.running))
            worker, spec = self.world.running[task_id]
            node = self.world.workers[worker]
            oid = object_id(task_id, 1)
            if spec.num_returns == STREAMING:
                self.world.end(oid, NOTHING)
                return
            # No circles: those are never let go.
            refs = [RefInfo(ref, ME) for ref in self.some(self.random.randrange(2)) if ref < task_id]
            found = [
                self.random.choice([Inline(b"small"), Inline(b"small", None, refs), None, None, None])
                or self.store(object_id(task_id, index + 1), node, refs)
                for index in range(spec.num_returns)
            ]
            self.world.end(oid, *found)

    def yields(self) -> None:
        running = [oid for oid in self.streams if self.world.runs(oid)]
        if running:
            oid = self.random.choice(running)
            worker, spec = self.world.running[oid[:24]]
            first = self.streams[oid] if spec.attempt == 0 else 0
            items = [object_id(oid[:24], index + 2) for index in range(first, 4)]
            self.world.yields(oid, first, *(self.store(item, self.world.workers[worker]) for item in items))
            self.streams[oid] = 4

    def take_item(self) -> None:
        for oid in self.streams:
            stream = self.world.machine.streams.streams.get(oid[:24])
            taken = self.taken.setdefault(oid, 0)
            if stream is not None and taken < stream.received:
                self.world.say(TakeItem(oid[:24], taken))
                self.held.append(stream.item(taken))
                self.taken[oid] += 1

    def let_go(self) -> None:
        if self.held:
            self.world.let_go(self.held.pop(self.random.randrange(len(self.held))))

    def copy(self) -> None:
        stored = [oid for oid in self.held if isinstance(self.world.value(oid), Stored)]
        if stored and (living := self.living()):
            oid, node = self.random.choice(stored), self.random.choice([*living, HOME])
            if (node, oid) not in self.places:
                self.world.tell(node, CopyAdded([self.store(oid, node)]))

    def drop_copy(self) -> None:
        copies = [(oid, node) for oid, nodes in self.world.objects.directory.copies.items() for node in nodes]
        if copies:
            oid, node = self.random.choice(copies)
            self.places.discard((node, oid))
            self.world.tell(node, CopyDropped([oid]))

    def miss(self) -> None:
        """A reader finds a value gone; or a worker an input of its task."""
        found = [self.world.value(oid) for oid in self.held]
        stored = [value for value in found if isinstance(value, Stored) and value.node != HOME]
        if stored:
            self.world.say(LostValue(self.random.choice(stored)))
        for task_id, (worker, spec) in list(self.world.running.items()):
            given = [value for value in spec.deps or () if isinstance(value, Stored)]
            if given and self.random.random() < 0.5:
                del self.world.running[task_id]
                self.world.tell(worker, ValuesLost(given), TasksReturned([spec.seq], "dependency"))
                return

    def borrow(self) -> None:
        for oid in self.some(1):
            if oid not in self.borrowed:
                self.borrowed.append(oid)
                self.world.tell(OTHER, AddBorrowers([oid]))
        if len(self.borrowed) > 3:
            self.world.tell(OTHER, RemoveBorrowers([self.borrowed.pop(0)]))

    def kill(self) -> None:
        if living := self.living():
            node = self.random.choice(living)
            self.places = {place for place in self.places if place[0] != node}
            self.world.kill(node, first=self.random.choice(["workers", "node"]), told=self.random.random() < 0.8)

    def run(self) -> None:
        """Anything happens; then nothing any more, and all has to come to an end."""
        deeds = [self.put, self.call, self.call, self.call, self.end, self.end, self.end, self.yields, self.take_item]
        deeds += [self.let_go, self.let_go, self.copy, self.drop_copy, self.miss, self.borrow]
        for _ in range(STEPS):
            self.random.choice(deeds)()
            if self.random.random() < 0.03:
                self.kill()
            self.look()
        for _ in range(10_000):
            if not self.world.running:
                break
            self.yields()
            self.end()
            self.look()
        for _ in range(5):
            self.take_item()
        self.world.tick()
        assert not self.world.running and not self.world.machine.unfinished
        for oid in self.held:
            assert self.world.value(oid) is not None, oid.hex()
        self.world.let_go(*self.held)
        self.world.tell(OTHER, RemoveBorrowers(self.borrowed))
        self.look()
        assert not self.world.objects.entries, self.world.objects.entries
        assert not self.world.objects.lineage.kept and not self.places


@pytest.mark.parametrize("seed", range(SEEDS))
def test_everything_comes_to_an_end(seed: int) -> None:
    Chaos(seed).run()
