"""Actors under any order of requests, deaths, crashes of the GCS and absences of its store."""

from __future__ import annotations

from collections import deque

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_actor_life import DEAD, TRANSITIONS, Cause, decode_life
from raynb.runtime.core.gcs_effects import PersistFailed
from raynb.runtime.messages import gcs as g
from raynb.runtime.messages import node as n
from tests.runtime.core.gcs_harness import Harness, actor_id, creation, job_id, node_id

DRIVER, MANAGER, WATCHER = "driver", "manager", "watcher"
NODE = node_id("n1")
ACTORS = [f"a{number}" for number in range(4)]


class Cluster(RuleBasedStateMachine):
    """One driver, one node manager that keeps to its rules, some actors; every message may come late.

    What must hold: an actor whose creation was acknowledged is never forgotten; one whose end was acknowledged never
    lives again, but where its driver wants that and it is allowed; no actor is ALIVE in two processes; each incarnation
    is durable before it is started; and when the faults stop, everything is settled and every request answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness()
        self.request = 0
        self.processes: dict[bytes, tuple[int, str]] = {}
        """What the node manager runs: actor -> incarnation, worker."""
        self.constructed: set[str] = set()
        self.spawned = 0
        self.unanswered: dict[int, tuple[str, g.CreateActor | g.KillActor]] = {}
        self.created: set[bytes] = set()
        self.ended: set[bytes] = set()
        self.revivals: dict[bytes, int] = {}
        self.lingering: dict[str, tuple[bytes, int]] = {}
        """Processes that were asked to end, and take their time: their actor and incarnation."""
        self.lingers = False
        self.detached: set[bytes] = set()
        self.driver_dead = False
        self.told: dict[bytes, g.ActorState] = {}
        self.in_flight: deque[Send] = deque()
        self.delivering = False
        self.register()
        self.deliver(self.harness.receive(DRIVER, g.RegisterJob(99_999, job_id("j1"), DRIVER, 1, "space", "x.py", 1.0)))

    # -- the world around

    def crash(self) -> None:
        """What was never created is forgotten, and that it was killed too."""
        known = self.harness.machine.actors.index.actors
        self.told = {actor: news for actor, news in self.told.items() if actor in known}
        self.harness.start()

    def register(self) -> None:
        living = [(actor, incarnation, worker) for actor, (incarnation, worker) in self.processes.items()]
        living += [(actor, incarnation, worker) for worker, (actor, incarnation) in self.lingering.items()]
        drivers = [] if self.driver_dead else [DRIVER]
        processes = [*drivers, *(worker for _, _, worker in living)]
        message = g.RegisterNode(NODE, MANAGER, 1, "here", "ip", True, {"CPU": 8.0}, {}, 1.0, living, processes)
        self.deliver(self.harness.receive(MANAGER, message))

    def deliver(self, effects: list[object]) -> None:
        """What the GCS sent arrives, and what it sends upon the answers to that after it."""
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, n.StartActor):
                life = decode_life(self.harness.rows["actor_lives", effect.message.actor_id])
                assert life.incarnation == effect.message.incarnation, "an incarnation is durable before it is started"
                assert life.state != DEAD
        self.in_flight += [effect for effect in effects if isinstance(effect, Send)]
        if self.delivering:
            return
        self.delivering = True
        while self.in_flight:
            effect = self.in_flight.popleft()
            message = effect.message
            if isinstance(message, n.StartActor):
                assert effect.to == MANAGER
                self.start(message)
            elif isinstance(message, n.KillWorker):
                self.kill_worker(message)
            elif isinstance(message, n.ExitWorker):
                for actor, (_, worker) in list(self.processes.items()):
                    if worker == effect.to:
                        self.end_in_time(actor)
            elif isinstance(message, n.AreAlive):
                self.say_who_lives(message)
            elif isinstance(message, g.Reply):
                self.answered(message)
            elif isinstance(message, g.ActorState) and effect.to == WATCHER:
                self.hear(message)
        self.delivering = False

    def start(self, message: n.StartActor) -> None:
        running = self.processes.get(message.actor_id)
        if running is not None and running[0] >= message.incarnation:
            if running == (message.incarnation, running[1]) and running[1] in self.constructed:
                self.report_started(message.actor_id)
            return
        assert running is None, "an older incarnation lives still"
        self.spawned += 1
        self.processes[message.actor_id] = (message.incarnation, f"w{self.spawned}")

    def end_in_time(self, actor: bytes) -> None:
        if not self.lingers:
            self.die(actor, intended=True)
            return
        incarnation, worker = self.processes.pop(actor)
        self.lingering[worker] = (actor, incarnation)

    def kill_worker(self, message: n.KillWorker) -> None:
        for worker, (actor, incarnation) in list(self.lingering.items()):
            if worker == message.worker or (actor == message.actor_id and incarnation <= message.incarnation):
                self.lingerer_ends(worker)
        running = self.processes.get(message.actor_id)
        if running is not None and running[0] <= message.incarnation:
            self.die(message.actor_id, intended=True)

    def say_who_lives(self, message: n.AreAlive) -> None:
        living = {worker for _, worker in self.processes.values()} | (set() if self.driver_dead else {DRIVER})
        living |= self.lingering.keys()
        for address in message.addresses:
            if address not in living:
                died = n.ProcessDied(address, "worker", 0, "it is not there any more")
                self.deliver(self.harness.receive(MANAGER, died))

    def die(self, actor: bytes, intended: bool = False) -> None:
        incarnation, worker = self.processes.pop(actor)
        self.tell_death(worker, actor, incarnation, intended)

    def lingerer_ends(self, worker: str) -> None:
        self.tell_death(worker, *self.lingering.pop(worker), True)

    def tell_death(self, worker: str, actor: bytes, incarnation: int, intended: bool) -> None:
        message = n.ProcessDied(
            worker, "worker", 7, "killed by SIGKILL", intended=intended, actor_id=actor, incarnation=incarnation
        )
        self.deliver(self.harness.receive(MANAGER, message))

    def report_started(self, actor: bytes) -> None:
        incarnation, worker = self.processes[actor]
        self.constructed.add(worker)
        self.deliver(self.harness.receive(worker, g.ActorStarted(actor, incarnation, worker, 7, NODE)))

    def answered(self, reply: g.Reply) -> None:
        asked = self.unanswered.pop(reply.request, None)
        if asked is None or reply.error is not None:
            return
        _, message = asked
        if isinstance(message, g.CreateActor):
            described = msgspec.msgpack.decode(reply.data)
            assert ("actors", described["actor_id"]) in self.harness.rows, "acknowledged before it was durable"
            self.created.add(described["actor_id"])
        elif not message.no_restart or message.actor_id not in self.actors():
            return
        elif message.revival == self.revivals.get(message.actor_id, 0):
            self.ended.add(message.actor_id)

    def hear(self, news: g.ActorState) -> None:
        before = self.told.get(news.actor_id)
        if before is not None and before.state == DEAD:
            # One that was never created may be unknown again to a restarted GCS: for a while.
            assert news.state == DEAD or news.state == "DEPENDENCIES_UNREADY", "the dead don't rise"
        elif before is not None:
            assert news.incarnation >= before.incarnation, "time does not run back"
        self.told[news.actor_id] = news

    def ask(self, message: g.CreateActor | g.KillActor) -> None:
        self.unanswered[message.request] = (DRIVER, message)
        self.deliver(self.harness.receive(DRIVER, message))

    def actors(self) -> dict[bytes, object]:
        return dict(self.harness.machine.actors.index.actors)

    # -- what happens

    @precondition(lambda self: not self.driver_dead)
    @rule(
        name=st.sampled_from(ACTORS),
        public=st.sampled_from(["", "x", "y"]),
        detached=st.booleans(),
        max_restarts=st.sampled_from([-1, 1, 0]),
        get_if_exists=st.booleans(),
    )
    def create(self, name: str, public: str, detached: bool, max_restarts: int, get_if_exists: bool) -> None:
        self.request += 1
        message = g.CreateActor(
            self.request, creation(DRIVER, name), public, "space", detached and bool(public), max_restarts, 0, "C", b"",
            get_if_exists=get_if_exists,
        )  # fmt: skip
        if actor_id(name) not in self.actors():
            self.detached.discard(actor_id(name))
            if message.detached:
                self.detached.add(actor_id(name))
        self.ask(message)

    @precondition(lambda self: not self.driver_dead)
    @rule(
        name=st.sampled_from(ACTORS),
        no_restart=st.booleans(),
        reason=st.sampled_from(["killed", "out of scope", "exited"]),
    )
    def kill(self, name: str, no_restart: bool, reason: str) -> None:
        self.request += 1
        no_restart = no_restart or reason != "killed"
        revival = self.revivals.get(actor_id(name), 0)
        self.ask(g.KillActor(actor_id(name), no_restart, reason, self.request, revival=revival))
        if reason == "exited" and actor_id(name) in self.processes:
            self.die(actor_id(name), intended=True)

    @precondition(lambda self: not self.driver_dead)
    @rule(data=st.data(), awaits=st.booleans())
    def revive(self, data: st.DataObject, awaits: bool) -> None:
        """What an actor made is lost, that goes out of scope (or has, some time ago)."""
        known = self.harness.machine.actors.index.actors
        names = [n for n in ACTORS if (at := known.get(actor_id(n))) is not None and at.may_restart]
        if not names:
            return
        name = data.draw(st.sampled_from(names))
        actor = actor_id(name)
        self.watch(name)
        self.kill(name, True, "out of scope")
        news = self.told.get(actor)
        if news is None or not news.revivable:
            return
        self.request += 1
        self.revivals[actor] = known[actor].spec.revival + 1
        self.ended.discard(actor)
        del self.told[actor]
        spec = msgspec.structs.replace(known[actor].spec, request=self.request, name="", revival=self.revivals[actor])
        if awaits:
            self.ask(msgspec.structs.replace(spec, awaits=True))
            self.request += 1
        self.ask(msgspec.structs.replace(spec, request=self.request))

    @rule()
    def processes_take_their_time_to_end(self) -> None:
        self.lingers = True

    @rule()
    def processes_end_at_once(self) -> None:
        self.lingers = False
        for worker in list(self.lingering):
            self.lingerer_ends(worker)

    @rule()
    def ask_again(self) -> None:
        for sender, message in list(self.unanswered.values()):
            self.deliver(self.harness.receive(sender, message))

    @rule(name=st.sampled_from(ACTORS))
    def watch(self, name: str) -> None:
        self.deliver(self.harness.receive(WATCHER, g.WatchActor(actor_id(name), DRIVER)))

    @rule(data=st.data())
    def constructor_returns(self, data: st.DataObject) -> None:
        waiting = [actor for actor, (_, worker) in self.processes.items() if worker not in self.constructed]
        if waiting:
            self.report_started(data.draw(st.sampled_from(waiting)))

    @rule(data=st.data())
    def process_dies(self, data: st.DataObject) -> None:
        if self.processes:
            self.die(data.draw(st.sampled_from(sorted(self.processes))))

    @rule()
    def gcs_crashes(self) -> None:
        """With what was under way; a process dies while it is away, now and then."""
        self.crash()
        self.register()

    @rule(data=st.data())
    def gcs_crashes_and_a_process_dies_meanwhile(self, data: st.DataObject) -> None:
        self.crash()
        if self.processes:
            del self.processes[data.draw(st.sampled_from(sorted(self.processes)))]
        self.register()

    @precondition(lambda self: self.harness.held is None)
    @rule()
    def store_goes_away(self) -> None:
        self.harness.held = []

    @rule()
    def store_comes_back(self) -> None:
        self.deliver(self.harness.release())

    @precondition(lambda self: self.harness.held)
    @rule(data=st.data())
    def store_does_some_of_it_and_the_gcs_crashes(self, data: st.DataObject) -> None:
        """Without a word: so it may be done, or not."""
        held = self.harness.held or []
        for persist in held[: data.draw(st.integers(1, len(held)))]:
            self.harness.write(persist)
        self.crash()
        self.register()

    @precondition(lambda self: self.harness.held)
    @rule()
    def store_refuses_a_write(self) -> None:
        assert self.harness.held
        persist = self.harness.held.pop(0)
        self.deliver(self.harness.handle(PersistFailed(persist.token, "no space left on device")))

    @rule(seconds=st.sampled_from([0.5, 6.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.deliver(self.harness.tick(seconds))

    @precondition(lambda self: not self.driver_dead)
    @rule()
    def driver_dies(self) -> None:
        self.driver_dead = True
        self.unanswered.clear()
        self.deliver(self.harness.receive(MANAGER, n.ProcessDied(DRIVER, "driver", 1, "killed by SIGKILL")))
        self.deliver(self.harness.receive(MANAGER, g.FinishJob(job_id("j1"))))

    # -- what holds

    @invariant()
    def what_was_acknowledged_survives(self) -> None:
        for actor in self.created:
            assert ("actors", actor) in self.harness.rows
        for actor in self.ended:
            found = self.harness.machine.actors.index.actors.get(actor)
            assert found is None or found.state == DEAD, f"{found!r} was ended, and that was acknowledged"

    def teardown(self) -> None:
        """The faults stop: everything settles."""
        self.deliver(self.harness.release())
        if not self.harness.machine.members.is_manager(MANAGER):
            self.register()
        for _ in range(12):
            self.ask_again()
            for actor, (_, worker) in list(self.processes.items()):
                if worker not in self.constructed and actor in self.processes:
                    self.report_started(actor)
            self.deliver(self.harness.tick(30.0))
        assert not self.unanswered
        assert not self.lingering
        living = self.harness.machine.actors.index.actors
        for found in living.values():
            assert found.state in ("ALIVE", DEAD), repr(found) + "\n" + "\n".join(found.story)
            if found.state == "ALIVE":
                assert self.processes.get(found.id) == (found.incarnation, found.worker)
            else:
                assert found.id not in self.processes, f"{found!r} is dead and its process is not"
            if self.driver_dead and not found.spec.detached:
                assert found.state == DEAD
            if found.id in self.told:
                self.deliver(self.harness.receive(WATCHER, g.WatchActor(found.id)))
                assert self.told[found.id].state == found.state
        self.told.clear()
        for name in ACTORS:
            self.watch(name)
        self.deliver(self.harness.tick(35.0))
        for watched, news in self.told.items():
            assert news.state in ("ALIVE", DEAD) or not self.driver_dead, f"{watched!r} hangs: {news}"
        assert self.harness.machine.journal.idle
        assert not self.harness.machine.requests.open


def test_actors_keep_their_promises_under_any_order_of_faults() -> None:
    run_state_machine_as_test(
        Cluster,
        settings=settings(
            max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


def test_a_life_ends_once_and_only_the_living_are_lost() -> None:
    states = {state for state, _ in TRANSITIONS}
    assert {cause for state, cause in TRANSITIONS if state == DEAD} == {Cause.REVIVED}
    assert all((state, Cause.ENDED) in TRANSITIONS for state in states - {DEAD})
    assert {state for state, cause in TRANSITIONS if cause is Cause.STARTED} == {"PENDING_CREATION", "RESTARTING"}
