"""A simulated process with a client machine: its I/O thread does what `raynb.runtime.client.host.ClientHost` does.

Turns are events of the world. Between the two halves of a turn (what arrived; what the threads have posted) other
threads of the process may run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.client_effects import Blocked, Foreign, Forget, Frames, Notice, Retried, Unhandled
from raynb.runtime.core.client_store import ClientStore
from raynb.runtime.core.effects import Send, Tick
from raynb.runtime.core.evictions import CopiesAsked
from raynb.runtime.core.freed import LetViewGo
from raynb.runtime.core.inbox import Inbox, NodeManagerDied, Outgoing, Retain
from raynb.runtime.core.task import Function
from raynb.runtime.core.unhandled import TOLD
from raynb.runtime.core.waiters import Wake
from raynb.runtime.messages import Message
from raynb.runtime.messages.config import PROTOCOL_VERSION
from raynb.runtime.messages.ids import ORIGIN_BYTES, task_id_source
from raynb.runtime.messages.node import JoinNode, NodeJoined
from raynb.runtime.messages.objects import OwnerGone
from raynb.runtime.messages.tasks import ContextDef
from raynb.runtime.messages.transfers import EvictCopies, ObjectsFetched
from raynb.runtime.messages.values import Stored
from tests.sim.fetching import Fetching
from tests.sim.memory import View
from tests.sim.places import Place
from tests.sim.threads import Steps, Thread

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.node import SimNode

IDLE_TURN_S = 0.25
UPKEEP_S = 1.0
FRAMES_PER_TURN_MAX = 256


class Pin:
    """Keeps one stored object while something views it: see `raynb.runtime.client.plane.Pin`."""

    __slots__ = ("client", "counted", "held", "here", "stored", "view")

    def __init__(self, client: SimClient, stored: Stored, here: Stored, view: View) -> None:
        self.client = client
        self.stored = stored
        self.here = here
        self.view = view
        self.counted = False
        self.held = True

    def count(self) -> None:
        """From now on it is a reference like any other."""
        if self.counted:
            return
        self.counted = True
        self.client.oracle.held(self.stored.oid, self.client.address)
        self.client.inbox.append(Retain(self.stored.oid, self.stored.owner, view=True))

    def drop(self) -> None:
        """The last view is gone."""
        if self.held:
            self.held = False
            self.client.guarded.discard(self)
            self.view.release()
            if self.counted:
                self.client.inbox.append(LetViewGo(self.stored.oid))


class SimClient:
    """A driver, or what drivers and workers have in common."""

    kind = "driver"
    gives_way = False
    """Whether others may use its CPUs while it waits."""

    def __init__(self, cluster: Cluster, node: SimNode, address: str, token: str, job: bytes, namespace: str) -> None:
        self.cluster = cluster
        self.node = node
        self.world = cluster.world
        self.network = cluster.network
        self.oracle = cluster.oracle
        self.config = cluster.config
        self.address = address
        self.token = token
        self.job = job
        self.namespace = namespace
        self.pid = cluster.next_pid()
        self.alive = True
        self.joined: NodeJoined | None = None
        self.machine: ClientMachine
        self.inbox: deque[object] = deque()
        self.threads: list[Thread] = []
        self.guarded: set[Pin] = set()
        """Pins of running tasks that are not counted."""
        self.dead_owners: set[str] = set()
        self.functions: dict[tuple[int, bytes, Place | None], Function] = {}
        self.store = ClientStore(self.config)
        self.fetching = Fetching(self)
        self.next_task_id = task_id_source(self.pid.to_bytes(ORIGIN_BYTES, "little"), job)
        self.root = ContextDef(1, job, namespace, address)
        self.calls: dict[bytes, int] = {}
        """Calls made from here so far, by actor."""
        self.on_turn: Callable[[], None] = self._upkeep
        self.turn_limit_s: Callable[[], float | None] = lambda: None
        self._arrived: deque[tuple[str, Message]] = deque()
        self._refused: set[str] = set()
        self._sleeping = False
        self._due = 0.0
        self._ticket = 0
        self._next_tick = 0.0
        self._numbers = 1
        self._upkeep_at = 0.0
        self._contexts: dict[tuple[bytes, str], ContextDef] = {}
        self.stalled_until = 0.0
        """Nothing of it runs before (it was stopped)."""
        cluster.processes[address] = self
        self.network.join(self)
        join = JoinNode(self.kind, self.pid, token, "0", cluster.python_version, PROTOCOL_VERSION, job, namespace)
        self.network.send(address, node.address, join)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.address}{'' if self.alive else ' dead'}>"

    # -- arriving

    def receive(self, sender: str, message: Message) -> None:
        """A message is there for the I/O thread."""
        if self.joined is None:
            if isinstance(message, NodeJoined):
                self._on_joined(message)
            else:
                self._arrived.append((sender, message))
            return
        self._arrived.append((sender, message))
        self._nudge()

    def _on_joined(self, message: NodeJoined) -> None:
        if message.error:
            self.cluster.refused(self, message.error)
            return
        self.joined = message
        self.dead_owners.update(message.dead_owners)
        self.machine = ClientMachine(self.config, self.address, self.node.address, message.gcs)
        self.begin()
        self._sleep_until(self.world.now)

    def begin(self) -> None:
        """It is joined: what it does now."""
        self.cluster.driver_joined(self)

    def start_thread(self, name: str, steps: Steps) -> Thread:
        thread = Thread(self.world, self, f"{self.address}/{name}", steps)
        self.threads.append(thread)
        return thread

    # -- from its threads

    def post(self, item: object) -> None:
        """Tell the machine something, and have it look soon."""
        self.inbox.append(item)
        self._nudge()

    def drop(self, oid: bytes) -> None:
        """A reference is gone; nobody is woken for it."""
        self.inbox.append(oid)

    def send(self, to: str, message: Message, *, guarded: bool = False) -> None:
        self.post(Outgoing(to, message, guarded))

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def adopt_context(self, context: ContextDef) -> ContextDef:
        """A context that arrived from elsewhere, under a number of this process's own."""
        key = (context.job, context.namespace)
        known = self._contexts.get(key)
        if known is None:
            known = self._contexts[key] = msgspec.structs.replace(context, number=self.next_number())
        return known

    def tell_store(self) -> None:
        news = self.store.take_news()
        if news is not None:
            self.inbox.append(Outgoing(self.node.address, news))

    # -- the I/O thread

    def _nudge(self) -> None:
        if self._sleeping:
            due = max(self.world.now + self.world.soon(), self.stalled_until)
            if due < self._due:
                self._sleep_until(due)

    def _sleep_until(self, due: float) -> None:
        self._sleeping = True
        self._ticket += 1
        self._due = max(due, self.stalled_until)
        self.world.at(self._due, self._turn, self._ticket)

    def _turn(self, ticket: int) -> None:
        if not self.alive or ticket != self._ticket:
            return
        if self.world.now < self.stalled_until:
            self._sleep_until(self.stalled_until)
            return
        self._sleeping = False
        received = self._take_arrived()
        now = self.world.now
        if received:
            self._on_received(received)
            self.handle(Frames(received))
        if self.alive and now >= self._next_tick:
            self._next_tick = now + self.config.tick_s
            self.handle(Tick())
        if not self.alive:
            return
        self.on_turn()
        if self.world.rng.random() < 0.3:
            self.world.after(self.world.soon(), self._drain, ticket)
        else:
            self._drain(ticket)

    def _on_received(self, received: list[tuple[str, Message]]) -> None:
        """Before the messages are handled: views of running tasks are counted when their owner dies, or somebody wants
        to know what is viewed."""
        for sender, message in received:
            if isinstance(message, ObjectsFetched):
                self.fetching.answered(message)
            if isinstance(message, EvictCopies):
                self._copies_asked(sender, message)
            if isinstance(message, OwnerGone):
                self.dead_owners.add(message.owner)
                for pin in sorted(self.guarded, key=lambda pin: pin.stored.oid):
                    if pin.stored.owner == message.owner:
                        pin.count()
        if self.inbox:
            items = list(self.inbox)
            self.inbox.clear()
            self.handle(Inbox(items))

    def _copies_asked(self, sender: str, message: EvictCopies) -> None:
        held = self.fetching.asked(message)
        for pin in sorted(self.guarded, key=lambda pin: pin.stored.oid):
            if pin.stored.oid in message.oids:
                pin.count()
        self.inbox.append(CopiesAsked(sender, message.round, message.oids, held))

    def _take_arrived(self) -> list[tuple[str, Message]]:
        received: list[tuple[str, Message]] = []
        while self._arrived and len(received) < FRAMES_PER_TURN_MAX:
            sender, message = self._arrived.popleft()
            if sender not in self._refused:
                received.append((sender, message))
        return received

    def _drain(self, ticket: int) -> None:
        if not self.alive or ticket != self._ticket:
            return
        if self.inbox:
            items = list(self.inbox)
            self.inbox.clear()
            self.handle(Inbox(items))
            if not self.alive:
                return
        now = self.world.now
        if self.inbox or self._arrived:
            timeout = 0.0
        elif self.machine.idle:
            timeout = IDLE_TURN_S
        else:
            timeout = max(self._next_tick - now, 0.0)
        limit = self.turn_limit_s()
        if limit is not None and limit < timeout:
            timeout = limit
        self._sleep_until(now + timeout + self.world.soon())

    def handle(self, event: Any) -> None:
        """Give the machine an event and carry out what it says."""
        self.oracle.before(self, event)
        effects = self.machine.handle(event, self.world.now)
        self.oracle.after(self, event)
        self.perform(effects)

    def perform(self, effects: list[Any]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                self._transport_send(effect.to, effect.message)
            elif kind is Wake:
                effect.waiter.wake()
            elif kind is Foreign:
                self.on_foreign(effect.sender, effect.message)
            elif kind is Blocked:
                self.on_blocked(effect.blocked)
            elif kind is Forget:
                self._refused.add(effect.address)
                self.on_process_died(effect.address)
            elif kind is Notice:
                self.world.note(self.address, "notice", effect.text)
            elif kind is Unhandled:
                assert effect.failure.kind in TOLD, effect
                self.world.note(self.address, "unhandled", effect.name)
            elif kind is Retried:
                assert effect.left != 0, effect
                self.world.note(self.address, "retried", effect.name)
            else:
                raise AssertionError(f"no host for the effect {effect!r}")

    def _transport_send(self, to: str, message: Message) -> None:
        if to not in self._refused:
            self.network.send(self.address, to, message)

    def on_foreign(self, sender: str, message: Message) -> None:
        """A message that is not for the client machine."""

    def on_blocked(self, blocked: bool) -> None:
        """The first thread waits, or the last one goes on."""

    def on_process_died(self, address: str) -> None:
        """A process is dead."""

    def _upkeep(self) -> None:
        now = self.world.now
        if now - self._upkeep_at > UPKEEP_S:
            self._upkeep_at = now
            self.store.idle(now)
            self.tell_store()
            self.fetching.sweep(self.machine.objects.entries)

    # -- the end

    def node_manager_died(self, reason: str) -> None:
        if self.alive and self.joined is not None:
            self.handle(NodeManagerDied(reason))
            self._nudge()

    def leave(self, last_message: Message | None) -> None:
        """An orderly end: what was posted is said, then goodbye."""
        self.store.close()
        self.tell_store()
        items = list(self.inbox)
        self.inbox.clear()
        self.handle(Inbox(items))
        self.machine.flush_events(self.world.now)
        self.handle(Tick())
        if last_message is not None:
            self._transport_send(self.node.address, last_message)
        self.cluster.ended(self, "exited" if last_message is not None else "ended by force", orderly=True)
