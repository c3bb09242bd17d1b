"""The global control store: what a cluster must agree on, and what it shows.

It knows nodes, processes, jobs, actors, names and keys (durable), and tasks (as clients report them; not durable). It
never knows values, code, or what runs where: nothing on the path of a task comes here.

What its host must do
---------------------
1. Take an epoch of the store, load it, hand it over as `Loaded`, and only then anything else.
2. Carry effects out in order. `Persist` goes to the store's own thread; see `raynb.runtime.core.gcs_effects`.
3. Tick. All patience is counted here; the host has none of its own, but for the store's.
4. At the end (`Shutdown`, a signal): receive nothing more, wait until the store has taken what it was given, exit.

Rules
-----
* What a request changes is answered once it is durable; a repeated request is answered as the first time.
* A message of a dead process counts for nothing, but for its last `TaskRows`: they may come after the news of its
  death.
* Only node managers tell of deaths and workers. One that isn't registered is asked to; one that is dead is told to
  stop.
* After a restart, drivers and owners that no returned node lists are dead, unless it says otherwise when asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from raynb.runtime.core import gcs_actor_life, gcs_jobs, gcs_keys, membership, placement_groups
from raynb.runtime.core.cluster_views import ClusterViews
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.gcs_actors import ActorTable
from raynb.runtime.core.gcs_acts import Acts
from raynb.runtime.core.gcs_effects import (
    ForgetPeer,
    Loaded,
    Malformed,
    Persisted,
    PersistFailed,
    ProcessEnded,
    Say,
    StoreLost,
    WatchProcess,
)
from raynb.runtime.core.gcs_jobs import JobTable
from raynb.runtime.core.gcs_journal import Effects, Journal
from raynb.runtime.core.gcs_keys import KeyTable
from raynb.runtime.core.gcs_queries import Queries
from raynb.runtime.core.gcs_requests import Requests
from raynb.runtime.core.gcs_world import GcsWorld
from raynb.runtime.core.live_view import LiveView
from raynb.runtime.core.membership import Membership, Node
from raynb.runtime.core.node_identity import session_of
from raynb.runtime.core.notebook_names import NotebookNames
from raynb.runtime.core.placement_groups import PlacementGroups
from raynb.runtime.core.reconciliation import Reconciliation
from raynb.runtime.core.run_history import RunHistory
from raynb.runtime.core.screen_views import make_view, summary_now
from raynb.runtime.core.screens import ScreenKey, Screens
from raynb.runtime.core.store_history import StoreHistory
from raynb.runtime.core.task_news import TaskNews
from raynb.runtime.core.views import Page
from raynb.runtime.messages import events, gcs, node
from raynb.runtime.messages.acts import ActRequest
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.screen import Act, View
from raynb.runtime.messages.values import Failed

TABLES: Final = (
    membership.TABLE,
    gcs_jobs.TABLE,
    gcs_keys.TABLE,
    placement_groups.TABLE,
    gcs_actor_life.SPEC_TABLE,
    gcs_actor_life.LIFE_TABLE,
)
"""What the host loads, in an order in which rows can be taken in."""

PERSIST_PATIENCE_S: Final = 30.0
"""So long a request waits for a store that is away."""
BURIAL_DELAY_S: Final = 2.0
"""So long the last words of a dead process may take."""
GUEST_IDLE_S: Final = 600.0
"""A client that no node knows (the command line) and that has gone without a word is forgotten after this."""

Handler = Callable[[str, Any, float], Effects]


class GcsMachine:
    """The whole GCS. See the module's rules.

    Parameters
    ----------
    epoch : int
        How many times the GCS of this cluster has been started.
    config : Config
    wall_offset_s : float
        Added to ``now`` it gives wall-clock seconds; for display alone.
    hostname : str
        Of the GCS's own host.
    cluster, version
        The cluster's id, and raynb's version: for the screens.
    """

    def __init__(
        self,
        epoch: int,
        config: Config,
        wall_offset_s: float = 0.0,
        hostname: str = "",
        cluster: str = "",
        version: str = "",
    ) -> None:
        self.epoch, self._config = epoch, config
        self.journal = Journal(PERSIST_PATIENCE_S)
        self.requests = Requests()
        self.members = Membership(hostname)
        self.views = ClusterViews(self.members)
        self.jobs = JobTable(self.journal, self.requests)
        self.keys = KeyTable(self.journal, self.requests, config.function_blob_limit_bytes)
        world = GcsWorld(self.members, self.jobs, wall_offset_s)
        self._wall = world.wall
        self.actors = world.actors = ActorTable(self.journal, self.requests, world, config.actor_end_patience_s)
        self.groups = world.groups = PlacementGroups(
            epoch, self.journal, self.requests, world, self.actors.placed, self.actors.group_removed
        )
        self.events = EventTable(config.hub_tasks_max)
        self.events.names.repr_of = self.actors.index.repr_of
        self.task_news = TaskNews(self.events)
        self.names = NotebookNames()
        self.stores = StoreHistory(self.members)
        self.queries = Queries(self, self.requests)
        self.history = RunHistory()
        self.acts = Acts(self, self.requests, epoch)
        self.screens = Screens(self._view, self._act, cluster, version)
        self._changes = 0
        """Grows with each event that may change a table."""
        self._gathering: Effects = []
        self._reconciliation = Reconciliation(self.members, self.jobs, self.actors, self.groups, self._death)
        self.shutting_down = False
        self._dying: dict[str, tuple[float, str, bool]] = {}
        """Dead, but their last words may still come: until when, why, whether to forget the peer then."""
        self._now = 0.0
        self._guests: dict[str, float] = {}
        self._handlers: dict[type, Handler] = {
            gcs.RegisterNode: self._on_register_node,
            node.NodeStatus: self._on_status,
            node.WorkerTable: self._on_worker_table,
            node.ProcessDied: self._on_process_died,
            node.ActorStartFailed: lambda _, m, now: self.actors.start_failed(m, now),
            node.LeaveNode: self._on_leave,
            node.AreAlive: lambda _, m, now: [Send(m.asker, died) for died in self.members.gone(m.addresses)],
            gcs.RegisterJob: self._on_register_job,
            gcs.FinishJob: self._on_finish_job,
            gcs.CreateActor: self._on_create_actor,
            gcs.ActorStarted: lambda _, m, now: self.actors.started(m, now),
            gcs.WatchActor: self.actors.watch,
            **self.groups.handlers,
            gcs.KillActor: self.actors.kill,
            gcs.NamedActor: lambda sender, m, _: self.actors.named(sender, m),
            gcs.KvPut: self.keys.put,
            gcs.KvGet: lambda sender, m, _: self.keys.get(sender, m),
            gcs.KvDelete: self.keys.delete,
            gcs.KvKeys: lambda sender, m, _: self.keys.listed(sender, m),
            gcs.Query: lambda s, m, now: self.queries.ask(s, m, now, self._wall(now)),
            gcs.ScreenRequest: self._on_screen,
            ActRequest: self.acts.ask,
            Reply: self.acts.answered,
            gcs.Shutdown: self._on_shutdown,
            **self.task_news.handlers,
            events.ObjectNames: lambda sender, m, now: self.names.take(sender, m, self._wall(now)),
            **self.stores.handlers(self._wall),
            events.ObjectRows: lambda sender, m, _: self.queries.report(sender, m),
        }

    def __repr__(self) -> str:
        return f"<GcsMachine epoch={self.epoch} {self.members!r} {self.actors!r} {self.jobs!r}>"

    # -- the one door

    def handle(self, event: object, now: float) -> Effects:
        """Take one event; see the module on what the host does with the effects."""
        self._now = now
        match event:
            case Received(sender, message):
                return self._on_message(sender, message, now)
            case Tick():
                return self._on_tick(now)
            case Persisted(token):
                return self.journal.persisted(token)
            case PersistFailed(token, reason):
                say = Say("error", f"the state store refused a write: {reason}")
                return [say, *self.journal.refused(token, reason, now)]
            case ProcessEnded(address, _, reason):
                found = self.members.by_manager(address)
                return self._node_dead(found, reason, now, gone=True) if found is not None else []
            case Malformed(sender, reason):
                return [Say("warning", f"{sender} sent what is no message, and is cut off: {reason}")]
            case StoreLost(reason):
                return self._on_store_lost(reason, now)
            case Loaded():
                return self._on_loaded(event)
        raise TypeError(f"not an event of the GCS: {event!r}")

    def _on_message(self, sender: str, message: Any, now: float) -> Effects:
        kind = type(message)
        handler = self._handlers.get(kind)
        if handler is None:
            return [Say("warning", f"{sender} sent a {kind.__name__}, which is not for the GCS")]
        self._changes += kind is not gcs.ScreenRequest
        if sender in self.members.dead:
            return self._from_the_dead(sender, message, now)
        if not self.members.is_process(sender) and not self.members.is_manager(sender):
            self._guests[sender] = now
        # Requests have a number; that of one that may go without an answer is 0 then.
        request = getattr(message, "request", 0)
        if request and kind is not events.ObjectRows and kind is not Reply:
            admitted = self.requests.admit(sender, request)
            if admitted is not True:
                return [admitted] if isinstance(admitted, Send) else []
        return handler(sender, message, now)

    def _from_the_dead(self, sender: str, message: Any, now: float) -> Effects:
        if isinstance(message, events.TaskRows) and sender in self._dying:
            return self.task_news.take(sender, message, now)
        if isinstance(message, gcs.RegisterNode | node.NodeStatus):
            reason = f"the cluster has declared this node dead: {self.members.dead[sender]}"
            return [Send(sender, node.StopNode(reason))]
        return []

    # -- nodes

    def _on_register_node(self, sender: str, message: gcs.RegisterNode, now: float) -> Effects:
        late = message.node_id not in self.members.nodes
        found = self.members.register(message)
        if found is None:
            return [Send(sender, node.StopNode("the cluster has declared this node dead"))]
        member, first = found
        self.views.changed = True
        self._guests.pop(sender, None)
        effects: Effects = []
        if first:
            effects += [
                WatchProcess(message.address, message.pid, message.hostname),
                Say("info", f"node {message.node_id.hex()[:12]} ({message.hostname}) is there"),
            ]
            # What its clients had told an earlier GCS.
            effects += [Send(client, events.SendNames()) for client in message.processes or ()]
            effects += self.acts.node_joined(message.address)
        if late:
            effects += self._tell_of_the_dead(sender)
        registered = Send(sender, gcs.NodeRegistered(self.epoch))
        # Should the store stay away, the node manager asks again.
        effects.append(self.journal.write([member.write()], now, lambda: [registered]))
        # First, so that nothing is started again for an owner that is dead.
        effects += self._reconciliation.begin(now)
        effects += self.actors.node_joined(message.node_id, message.actors, first, now)
        return effects + self.groups.node_joined(message.node_id, now)

    def _tell_of_the_dead(self, manager: str) -> Effects:
        """Its processes may have had to do with them before it was in the audience of news."""
        nodes = {dead.manager: dead.message for dead in self.members.dead_nodes()}
        processes = {address: why for address, (_, why, _) in self._dying.items() if address not in nodes}
        told = [node.ProcessDied(address, "node", 0, why) for address, why in nodes.items()]
        told += [node.ProcessDied(address, "worker", 0, why) for address, why in processes.items()]
        return [Send(manager, died) for died in told]

    def _on_status(self, sender: str, message: node.NodeStatus, now: float) -> Effects:
        if self.members.status(sender, message) is None:
            return [Send(sender, gcs.NodeRegistered(self.epoch))]
        self.views.changed |= self.members.several
        return []

    def _on_worker_table(self, sender: str, message: node.WorkerTable, now: float) -> Effects:
        for listing in self.members.worker_table(sender, message):
            self.actors.assigned(listing.actor_id, listing.address)
        for listing in message.workers:
            self._guests.pop(listing.address, None)
        return []

    def _node_dead(self, member: Node, reason: str, now: float, gone: bool = False, orderly: bool = False) -> Effects:
        """``gone``: its manager's process has ended; else it may speak again, and is told to stop then."""
        self.views.changed = True
        effects: Effects = [Say("error", f"node {member.id.hex()[:12]} is dead: {reason}")]
        deaths, writes = self.members.node_died(member, reason, self._wall(now), orderly=orderly)
        self.stores.node_died(member.id, self._wall(now))
        effects.append(self.journal.write(writes, now))
        # First, so that no actor is started again in what a group had there.
        effects += self.groups.node_died(member.id, now)
        for death in deaths:
            effects += self._death(death, member.manager, now, gone or death.kind != "node")
        effects += self.actors.node_died(member.id, reason, now)
        return effects + self._reconciliation.begin(now)

    # -- processes

    def _on_process_died(self, sender: str, message: node.ProcessDied, now: float) -> Effects:
        member = self.members.by_manager(sender)
        if member is not None and message.address == sender:
            return self._node_dead(member, message.reason, now, gone=True, orderly=True)
        # A node that has not registered yet knows its own dead: what these had sent may be still to come.
        if member is None and (message.address == sender or session_of(message.address) != session_of(sender)):
            return []
        return self._death(message, sender, now)

    def _death(self, death: node.ProcessDied, teller: str, now: float, gone: bool = True) -> Effects:
        """All that follows from the end of a process."""
        if not self.members.process_died(death.address, death.reason, self._wall(now)):
            return []
        effects: Effects = [Send(manager, death) for manager in self.members.audience(but=teller)]
        effects += self.actors.process_died(death, now)
        for job in self.jobs.of_driver(death.address):
            status = gcs_jobs.SUCCEEDED if death.intended else gcs_jobs.FAILED
            effects += self._finish(job.job, status, death.reason, now)
        effects += self.queries.process_died(death.address)
        effects += self.acts.process_died(death.address)
        self.requests.forget(death.address)
        self.task_news.forget(death.address)
        self._guests.pop(death.address, None)
        self._dying[death.address] = (now + BURIAL_DELAY_S, death.reason, gone)
        return effects

    def _on_leave(self, sender: str, message: node.LeaveNode, now: float) -> Effects:
        """Nobody reports the death of a guest: it says goodbye itself."""
        if self._guests.pop(sender, None) is None:
            return []
        self.requests.forget(sender)
        self.screens.forget_guest(sender)
        self.actors.index.drop_watcher(sender)
        return [ForgetPeer(sender)]

    # -- actors

    def _on_create_actor(self, sender: str, message: gcs.CreateActor, now: float) -> Effects:
        effects: Effects = []
        for manager in message.follows:
            member = self.members.by_manager(manager)
            if member is not None:
                reason = "its manager has ended, as the creator of an actor was told"
                effects += self._node_dead(member, reason, now, gone=True)
        message.follows = []
        return effects + self.actors.create(sender, message, now)

    # -- jobs

    def _on_register_job(self, sender: str, message: gcs.RegisterJob, now: float) -> Effects:
        self.members.meet(message.driver)
        self._guests.pop(message.driver, None)
        return self.jobs.register(sender, message, now)

    def _on_finish_job(self, sender: str, message: gcs.FinishJob, now: float) -> Effects:
        effects = self._finish(message.job, gcs_jobs.SUCCEEDED, "", now)
        if message.request:

            def told(reason: str = "") -> Effects:
                return [self.requests.answer(sender, Reply(message.request), keep=True)]

            effects += self.journal.when_durable(gcs_jobs.TABLE, message.job, told, told)
        return effects

    def _finish(self, job: bytes, status: str, reason: str, now: float) -> Effects:
        effects = self.jobs.finish(job, status, reason, now, self._wall(now))
        if effects is None:
            return []
        return [*effects, *self.actors.job_ended(job, now), *self.groups.job_ended(job, now)]

    # -- events

    # -- screens

    def _on_screen(self, sender: str, message: gcs.ScreenRequest, now: float) -> Effects:
        return self._gathered(self.screens.request(sender, message, now, self._wall(now)))

    def _view(self, view: View) -> LiveView:
        return make_view(view, self, self.queries, lambda: self._changes, self._gather)

    def _act(self, who: ScreenKey, act: Act, now: float) -> Effects:
        def done(failure: Failed | None) -> Effects:
            return self.screens.done(who, act.id, "" if failure is None else failure.message)

        return self.acts.begin(act.action, act.target, now, done)

    def _gather(self, done: Callable[[Page], None]) -> None:
        """A view asks for objects while it is looked at: the questions go out with what that brings."""
        self._gathering += self.queries.gather_objects(done, self._now)

    def _gathered(self, effects: Effects) -> Effects:
        asked, self._gathering = self._gathering, []
        return [*effects, *asked]

    # -- the store

    def _on_loaded(self, event: Loaded) -> Effects:
        damaged = list(event.damaged)
        order = {table: number for number, table in enumerate(TABLES)}
        for table, key, value in sorted(event.rows, key=lambda row: order[row[0]]):
            try:
                if table == membership.TABLE:
                    self.members.load(value)
                elif table == gcs_jobs.TABLE:
                    self.jobs.load(key, value)
                elif table == gcs_keys.TABLE:
                    self.keys.load(key, value)
                elif table == placement_groups.TABLE:
                    self.groups.load(key, value)
                else:
                    self.actors.index.load(table, key, value)
            except (msgspec.DecodeError, ValueError) as error:
                damaged.append(f"{table} {key.hex()}: {error}")
        damaged += self.actors.index.loaded()
        self._reconciliation.begun = self.epoch <= 1 and not event.rows
        return [Say("error", f"lost from the state store: {what}") for what in damaged]

    def _on_store_lost(self, reason: str, now: float) -> Effects:
        text = f"the state store has lost acknowledged rows, all is written anew: {reason}"
        writes = [*self.members.writes(), *self.jobs.writes(), *self.keys.writes()]
        writes += [*self.actors.index.writes(), *self.groups.writes()]
        return [Say("error", text), self.journal.write(writes, now, lasting=True)]

    # -- time and the end

    def _on_tick(self, now: float) -> Effects:
        effects: Effects = []
        for member, reason in self.members.tick(now):
            effects += self._node_dead(member, reason, now)
        effects += self._reconciliation.tick(now)
        effects += self.journal.tick(now) + self.views.tick(now)
        effects += self.actors.tick(now) + self.groups.tick(now)
        effects += self.queries.tick(now)
        self.history.tick(self._wall(now), self._changes, lambda: summary_now(self))
        effects += self.acts.tick(now)
        effects += self._gathered(self.screens.tick(now, self._wall(now)))
        effects += self._bury(now)
        for guest in [g for g, heard in self._guests.items() if now - heard > GUEST_IDLE_S]:
            effects += self._on_leave(guest, node.LeaveNode(), now)
        return effects

    def _bury(self, now: float) -> Effects:
        effects: Effects = []
        while self._dying:
            address, (until, reason, gone) = next(iter(self._dying.items()))
            if until > now:
                break
            del self._dying[address]
            self.events.client_died(address, reason, self._wall(now), self.jobs.ended)
            self.names.client_died(address, self._wall(now))
            if gone:
                effects.append(ForgetPeer(address))
        return effects

    def _on_shutdown(self, sender: str, message: gcs.Shutdown, now: float) -> Effects:
        self.shutting_down = True
        return [Say("info", "asked to end")]

    @property
    def waiting(self) -> bool:
        """Whether something has to happen within a tick or two; else ticks may be fewer."""
        busy = self.groups.waiting or self._dying or self.screens.waiting or self.queries.waiting or self.acts.waiting
        return bool(busy) or self.views.changed or not self.journal.idle or not self.members.settled

    # -- for tests and widgets

    def statistics(self) -> dict[str, int]:
        """Counts."""
        states = [actor.state for actor in self.actors.index.actors.values()]
        return {
            "epoch": self.epoch,
            "nodes": sum(member.alive for member in self.members.nodes.values()),
            "processes": len(self.members.processes()),
            "jobs": len(self.jobs.jobs),
            "actors": len(states),
            "actors_alive": states.count(gcs_actor_life.ALIVE),
            "keys": len(self.keys),
            "requests_open": self.requests.open,
            "requests_repeated": self.requests.repeated,
            "writes_refused": self.journal.failed,
            "guests": len(self._guests),
            **self.screens.statistics(),
            **{f"events_{name}": n for name, n in self.events.statistics().items()},
        }

    def check(self) -> None:
        """The invariants of all tables."""
        self.journal.check()
        self.requests.check()
        self.members.check()
        self.jobs.check()
        self.keys.check()
        self.screens.check()
        self.stores.check()
        self.actors.check()
        self.groups.check()
        if len(self.events) < 10_000:
            self.events.check()
