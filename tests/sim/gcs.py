"""The simulated GCS: `GcsMachine` on a fake state store, killed and started again on what that has kept."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.gcs import TABLES, GcsMachine
from raynb.runtime.core.gcs_actor_life import LIFE_TABLE, decode_life
from raynb.runtime.core.gcs_effects import (
    ForgetPeer,
    Loaded,
    Persist,
    Persisted,
    ProcessEnded,
    Say,
    WatchProcess,
)
from raynb.runtime.messages import Message
from raynb.runtime.messages.node import StartActor
from raynb.runtime.ports.fake_state_store import FakeDisk, FakeStateStore
from raynb.runtime.ports.state_store import StateStoreUnavailableError

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

IDLE_TICK_S = 0.5
RETRY_S = 0.02


class SimGcs:
    """One process of the GCS. Its successor has the same address and the same disk."""

    kind = "gcs"

    def __init__(self, cluster: Cluster, disk: FakeDisk) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.network = cluster.network
        self.address = cluster.gcs_address
        self.alive = True
        self.pid = cluster.next_pid()
        self.disk = disk
        self.machine: GcsMachine
        self._store = FakeStateStore(disk)
        self._writes: deque[Persist] = deque()
        self._writing = False
        self._arrived: deque[tuple[str, Message]] = deque()
        self._refused: set[str] = set()
        self._watched: dict[str, int] = {}
        self._scheduled = False
        self._tick_ticket = 0
        cluster.processes[self.address] = self
        self.world.after(self.world.between(0.005, 0.05), self._begin)

    def __repr__(self) -> str:
        return f"<SimGcs {self.machine!r}>" if hasattr(self, "machine") else "<SimGcs starting>"

    def _begin(self) -> None:
        if not self.alive:
            return
        try:
            epoch = self._store.next_epoch()
            rows = [(table, key, value) for table in TABLES for key, value in self._store.load(table).rows]
        except StateStoreUnavailableError:
            self.world.after(RETRY_S, self._begin)
            return
        self.machine = GcsMachine(epoch, self.cluster.config, 0.0, "here")
        self._carry_out(self.machine.handle(Loaded(rows, []), self.world.now))
        self.network.join(self)
        self._schedule_tick()

    # -- the loop

    def receive(self, sender: str, message: Message) -> None:
        self._arrived.append((sender, message))
        if not self._scheduled:
            self._scheduled = True
            self.world.after(self.world.soon(), self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        received = list(self._arrived)
        self._arrived.clear()
        for sender, message in received:
            if sender not in self._refused:
                self.handle(Received(sender, message))

    def _schedule_tick(self) -> None:
        self._tick_ticket += 1
        pause_s = self.cluster.config.tick_s if self.machine.waiting else IDLE_TICK_S
        self.world.after(pause_s, self._tick, self._tick_ticket)

    def _tick(self, ticket: int) -> None:
        if self.alive and ticket == self._tick_ticket:
            self.handle(Tick())
            self._schedule_tick()

    def handle(self, event: Any) -> None:
        """Give the machine an event and carry out what it says."""
        if not self.alive:
            return
        waited = self.machine.waiting
        effects = self.machine.handle(event, self.world.now)
        self.machine.check()
        self._carry_out(effects)
        if not waited and self.machine.waiting:
            self._schedule_tick()

    def _carry_out(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                if isinstance(effect.message, StartActor):
                    self.cluster.oracle.actor_sent(effect.message.actor_id, effect.to)
                if effect.to not in self._refused:
                    self.network.send(self.address, effect.to, effect.message)
            elif isinstance(effect, Persist):
                self._writes.append(effect)
                self._begin_writing()
            elif isinstance(effect, WatchProcess):
                self._watched[effect.address] = effect.pid
                process = self.cluster.processes.get(effect.address)
                if process is None or not process.alive:
                    self.process_ended(effect.address)
            elif isinstance(effect, ForgetPeer):
                self._refused.add(effect.address)
            elif isinstance(effect, Say):
                self.world.note(self.address, effect.level, effect.text)
            else:
                raise AssertionError(f"no host for the effect {effect!r}")

    def process_ended(self, address: str) -> None:
        """The kernel says that a watched process is gone."""
        pid = self._watched.pop(address, None)
        if pid is not None:
            self.world.after(self.world.soon(), self.handle, ProcessEnded(address, pid, "its process has ended"))

    # -- the thread that writes

    def _begin_writing(self) -> None:
        if not self._writing and self._writes:
            self._writing = True
            self.world.after(self.world.between(0.0003, 0.004), self._write, len(self._writes))

    def _write(self, count: int) -> None:
        """All that had gathered, in one batch; it may be done and not yet told when the process is killed."""
        if not self.alive:
            return
        batch = [self._writes[i] for i in range(count)]
        try:
            self._store.apply([write for persist in batch for write in persist.writes])
        except StateStoreUnavailableError:
            self.world.after(RETRY_S, self._write, count)
            return
        for _ in batch:
            self._writes.popleft()
        for write in (write for persist in batch for write in persist.writes):
            # A successor can't know whether the node was told, too.
            if write.table == LIFE_TABLE and write.value and (place := decode_life(write.value).node_id):
                self.cluster.oracle.actor_sent(write.key, self.cluster.node_of(place).address)
        self.world.after(self.world.soon(), self._written, [persist.token for persist in batch])

    def _written(self, tokens: list[int]) -> None:
        self._writing = False
        for token in tokens:
            self.handle(Persisted(token))
        if self.alive:
            self._begin_writing()
