"""Runs a body of the workload on a client: in a driver's thread, in a task, in a call of an actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raynb.runtime.core.task import STREAMING
from tests.sim import calls
from tests.sim import workload as w
from tests.sim.actor_calls import create_actor, find_actor, kill_actor, may_call
from tests.sim.calls import Execution, Loaded
from tests.sim.client import Pin, SimClient
from tests.sim.generators import Generator, next_item
from tests.sim.group_calls import create_group, remove_group
from tests.sim.outcomes import ActorExit, RemoteError, StoreFull, TimeoutOfGet
from tests.sim.places import Group, Place
from tests.sim.threads import Pause, Steps
from tests.sim.values import Ref, number

GET_IN_TASK_S = 1.5
"""A reference that came by a long way may, through actors, wait for whoever reads it: not for ever, then."""


DEPTH_MAX = 3
"""Methods may call methods of their own class: not for ever."""


class Kept:
    """What an actor keeps between its calls."""

    def __init__(self) -> None:
        self.refs: list[Ref] = []
        self.pins: list[Pin] = []


class Frame:
    """What a body works with.

    Parameters
    ----------
    label
        Names this call of the workload; what it makes is named after it.
    patient
        Whether it may wait without a limit (nobody waits for it).
    kept
        What the actor keeps, in its calls.
    """

    def __init__(
        self, client: SimClient, execution: Execution, label: int, *, patient: bool, kept: Kept | None = None
    ) -> None:
        self.client = client
        self.execution = execution
        self.plan = client.cluster.plan
        self.label = label
        self.patient = patient
        self.kept = kept
        self.refs: list[Ref] = []
        self.handles: list[Ref] = []
        self.pins: list[Pin] = []
        self.generators: list[Generator] = []
        self.groups: list[Group] = []
        self._step = 0

    # -- holding

    def hold(self, refs: list[Ref]) -> None:
        """References and handles that came in."""
        for ref in refs:
            (self.refs if ref.handle is None else self.handles).append(ref)

    def hold_value(self, loaded: Loaded) -> None:
        self.hold(loaded.refs)
        if loaded.pin is not None:
            self.pins.append(loaded.pin)

    def let_go(self) -> None:
        """The frame is gone, and all its variables."""
        for generator in self.generators:
            generator.close()
            generator.ref.drop()
        for ref in [*self.refs, *self.handles]:
            ref.drop()
        for pin in self.pins:
            pin.drop()
        self.refs, self.handles, self.pins, self.generators = [], [], [], []

    def pick(self, which: tuple[int, ...]) -> list[Ref]:
        """References by number; none twice."""
        if not self.refs:
            return []
        return list({ref.oid: ref for ref in (self.refs[i % len(self.refs)] for i in which)}.values())

    def pick_any(self, which: tuple[int, ...]) -> list[Ref]:
        """References and handles by number, for what is passed on."""
        both = [*self.refs, *self.handles]
        if not both:
            return []
        return list({id(ref): ref for ref in (both[i % len(both)] for i in which)}.values())

    # -- running

    def run(self, body: tuple[w.Operation, ...]) -> Steps:
        """Do all of a body's operations."""
        for operation in body:
            self._step += 1
            method: Callable[[Frame, Any], Steps | None] = OPERATIONS[type(operation)]
            steps = method(self, operation)
            if steps is not None:
                yield from steps
            if self.client.world.rng.random() < 0.1:
                yield Pause()

    def _label(self) -> int:
        return number(self.label, self._step)

    def call(self, operation: w.Call) -> None:
        remote = self.plan.functions[operation.function]
        made = calls.submit(
            self.client,
            self.execution,
            remote,
            self._label(),
            self.pick(operation.deps),
            self.pick_any(operation.nested),
            place=self._place(operation.place),
        )
        self._hold_made(remote, made)

    def _place(self, place: w.Place | None) -> Place | None:
        if place is None or not self.groups:
            return None
        group = self.groups[place.group % len(self.groups)]
        return Place(group, place.bundle % len(group.bundles) if place.bundle >= 0 else -1)

    def _hold_made(self, remote: w.RemoteFunction, made: list[Ref]) -> None:
        if remote.num_returns == STREAMING:
            self.generators.append(Generator(self.client, made[0]))
        else:
            self.refs += made

    def put(self, operation: w.Put) -> Steps:
        contains = self.pick_any(operation.contains)
        try:
            ref = yield from calls.put(self.client, self._label(), operation.size, contains)
        except StoreFull:
            return
        except RemoteError as error:
            self.client.oracle.call_failed(self.client, error.failed, [])
        else:
            self.refs.append(ref)

    def get(self, operation: w.Get) -> Steps:
        refs = self.pick(operation.which)
        timeout_s = operation.timeout_s
        if timeout_s is None and not self.patient:
            timeout_s = GET_IN_TASK_S
        try:
            loaded = yield from calls.get(self.client, refs, timeout_s)
        except (RemoteError, StoreFull, TimeoutOfGet):
            return
        while operation.keep and loaded:
            self.hold_value(loaded.pop(0))
        try:
            while loaded:
                yield Pause()
                calls.let_go(loaded.pop(0))
        finally:
            # Interrupted: nobody has them any more.
            for one in loaded:
                calls.let_go(one)

    def wait(self, operation: w.Wait) -> Steps:
        refs = self.pick(operation.which)
        if not refs:
            return
        timeout_s = operation.timeout_s
        if timeout_s is None and not self.patient:
            timeout_s = GET_IN_TASK_S
        yield from calls.wait(self.client, refs, min(operation.num_returns, len(refs)), timeout_s)

    def drop(self, operation: w.Drop) -> None:
        if self.refs:
            self.refs.pop(operation.which % len(self.refs)).drop()

    def drop_view(self, operation: w.DropView) -> None:
        if self.pins:
            pin = self.pins.pop(operation.which % len(self.pins))
            here = pin.here
            self.client.node.memory.read(self.client.address, here.segment, here.offset, here.oid).release()
            pin.drop()

    def cancel(self, operation: w.Cancel) -> None:
        for ref in self.pick((operation.which,)):
            calls.cancel(self.client, ref, force=operation.force, recursive=operation.recursive)

    def sleep(self, operation: w.Sleep) -> Steps:
        yield Pause(operation.seconds)

    # -- actors

    def create(self, operation: w.Create) -> Steps:
        cls = self.plan.classes[operation.cls]
        init = self.plan.functions[cls.init]
        deps, nested = self.pick(operation.deps), self.pick_any(operation.nested)
        if cls.name and not self.patient:
            deps = []  # it waits for them without a limit
        place = self._place(operation.place)
        try:
            handle = yield from create_actor(self.client, self.execution, cls, init, self._label(), deps, nested, place)
        except RemoteError as error:
            self.client.oracle.call_failed(self.client, error.failed, [ref.oid for ref in deps])
        else:
            self.handles.append(handle)

    def method(self, operation: w.Method) -> None:
        if not self.handles or self.execution.depth >= DEPTH_MAX:
            return
        actor = self.handles[operation.handle % len(self.handles)]
        assert actor.handle is not None
        cls = self.plan.classes[actor.handle.cls]
        methods = cls.methods
        if not may_call(self.client, actor.handle.actor_id, cls):
            return
        remote = self.plan.functions[methods[operation.method % len(methods)]]
        deps, nested = self.pick(operation.deps), self.pick_any(operation.nested)
        made = calls.submit(self.client, self.execution, remote, self._label(), deps, nested, actor)
        self._hold_made(remote, made)

    def kill(self, operation: w.Kill) -> None:
        if self.handles:
            handle = self.handles[operation.handle % len(self.handles)].handle
            assert handle is not None
            kill_actor(self.client, handle, no_restart=operation.no_restart)

    def drop_handle(self, operation: w.DropHandle) -> None:
        if self.handles:
            self.handles.pop(operation.which % len(self.handles)).drop()

    def find(self, operation: w.Find) -> Steps:
        try:
            handle = yield from find_actor(self.client, operation.name)
        except RemoteError:
            return
        self.handles.append(handle)

    # -- generators

    def take(self, operation: w.Take) -> Steps:
        if not self.generators:
            return
        generator = self.generators[operation.which % len(self.generators)]
        for _ in range(operation.count):
            ref = yield from next_item(self.client, generator)
            if ref is None:
                return
            self.refs.append(ref)

    def close(self, operation: w.Close) -> None:
        if self.generators:
            generator = self.generators.pop(operation.which % len(self.generators))
            generator.close()
            generator.ref.drop()

    # -- placement groups

    def create_group(self, operation: w.CreateGroup) -> Steps:
        try:
            group = yield from create_group(self.client, operation.bundles, operation.strategy)
        except RemoteError as error:
            self.client.oracle.call_failed(self.client, error.failed, [])
        else:
            self.groups.append(group)

    def remove_group(self, operation: w.RemoveGroup) -> Steps:
        if self.groups:
            yield from self.remove(self.groups.pop(operation.which % len(self.groups)))

    def remove(self, group: Group) -> Steps:
        """Remove one of them, or one that was."""
        try:
            yield from remove_group(self.client, group)
        except RemoteError as error:
            self.client.oracle.call_failed(self.client, error.failed, [])

    # -- inside an actor

    def remember(self, operation: w.Remember) -> None:
        if self.kept is not None and self.refs:
            self.kept.refs.append(self.refs.pop(operation.which % len(self.refs)))
            if self.pins:
                self.kept.pins.append(self.pins.pop(operation.which % len(self.pins)))

    def recall(self, operation: w.Recall) -> None:
        if self.kept is not None and self.kept.refs:
            self.refs.append(self.kept.refs.pop(operation.which % len(self.kept.refs)))

    def forget(self, operation: w.Forget) -> None:
        if self.kept is not None:
            if self.kept.refs:
                self.kept.refs.pop(operation.which % len(self.kept.refs)).drop()
            if self.kept.pins:
                self.kept.pins.pop(operation.which % len(self.kept.pins)).drop()

    def exit_actor(self, operation: w.ExitActor) -> None:
        if self.kept is not None:
            raise ActorExit


OPERATIONS: dict[type, Callable[[Frame, Any], Steps | None]] = {
    w.Call: Frame.call,
    w.Put: Frame.put,
    w.Get: Frame.get,
    w.Wait: Frame.wait,
    w.Drop: Frame.drop,
    w.DropView: Frame.drop_view,
    w.Cancel: Frame.cancel,
    w.Sleep: Frame.sleep,
    w.Create: Frame.create,
    w.Method: Frame.method,
    w.Kill: Frame.kill,
    w.DropHandle: Frame.drop_handle,
    w.Find: Frame.find,
    w.Take: Frame.take,
    w.Close: Frame.close,
    w.Remember: Frame.remember,
    w.Recall: Frame.recall,
    w.Forget: Frame.forget,
    w.ExitActor: Frame.exit_actor,
    w.CreateGroup: Frame.create_group,
    w.RemoveGroup: Frame.remove_group,
}
