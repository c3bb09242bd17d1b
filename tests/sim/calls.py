"""What a user's thread can ask for, step by step as `raynb.runtime.client.client.Client` and the API do it.

Each function that can wait is a generator to be run with ``yield from``. Other threads of the process, its I/O thread
among them, may run at each ``yield``.
"""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.inbox import (
    Answer,
    Ask,
    CancelObject,
    LostValue,
    Outgoing,
    PutValue,
    StopWaiting,
    WaitFor,
)
from raynb.runtime.core.streams import Stream
from raynb.runtime.core.task import STREAMING, Function, Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages import Message, gcs
from raynb.runtime.messages.copies import CopiesDamaged
from raynb.runtime.messages.ids import PUT_INDEX_BASE
from raynb.runtime.messages.objects import ExtentGranted, ExtentRefused
from raynb.runtime.messages.tasks import ContextDef, FunctionDef
from raynb.runtime.messages.values import NOTHING, Failed, Inline, Stored, Value
from tests.sim.client import Pin, SimClient
from tests.sim.memory import Cell, least_size
from tests.sim.outcomes import DamagedCopy, RemoteError, StoreFull, TimeoutOfGet, ValuesLost
from tests.sim.places import Place
from tests.sim.show import name_id
from tests.sim.threads import Lock, Pause, Steps
from tests.sim.values import CallContent, Content, Handle, Ref, decode_content, describe, encode, unpack_refs
from tests.sim.workload import RemoteFunction
from tests.sim.world import Violation

RECHECK_S = 1.0
LOOK_S = 0.002
_PUT_SUFFIX = PUT_INDEX_BASE.to_bytes(4, "little")


class Execution:
    """On whose behalf a thread works."""

    __slots__ = ("context", "depth", "task_id")

    def __init__(self, context: ContextDef, task_id: bytes, depth: int = 0) -> None:
        self.context = context
        self.task_id = task_id
        self.depth = depth


class Loaded:
    """A value that was read: its number, the references inside it, what keeps its memory."""

    __slots__ = ("pin", "refs", "token")

    def __init__(self, token: int, refs: list[Ref], pin: Pin | None) -> None:
        self.token = token
        self.refs = refs
        self.pin = pin


# -- functions and submission


def function_of(
    client: SimClient, remote: RemoteFunction, actor: Handle | None = None, place: Place | None = None
) -> Function:
    """A function as this process submits it; a method, if ``actor`` is given."""
    key = (remote.number, actor.actor_id if actor is not None else b"", place)
    found = client.functions.get(key)
    if found is None:
        name = f"f{remote.number}"
        function_id = b"" if actor is not None else remote.number.to_bytes(16, "little")
        retry = remote.raises == "first"
        definition = FunctionDef(
            client.next_number(), function_id, name, function_id, retry, backpressure=remote.backpressure
        )
        resources = {} if actor is not None else dict(remote.resources)
        found = client.functions[key] = Function(
            definition, name, resources if place is None else place.holds(resources), max_retries=remote.retries
        )
    return found


def submit(
    client: SimClient,
    execution: Execution,
    remote: RemoteFunction,
    label: int,
    deps: list[Ref],
    nested: list[Ref],
    actor: Ref | None = None,
    place: Place | None = None,
) -> list[Ref]:
    """Submit a call; gives a reference for each return value (one for a generator)."""
    handle = actor.handle if actor is not None else None
    function = function_of(client, remote, handle, place)
    handles, infos = describe(nested)
    order = 0
    if handle is not None:
        order = client.calls[handle.actor_id] = client.calls.get(handle.actor_id, 0) + 1
    args = encode(CallContent(label, remote.number, handles, infos or [], order, execution.depth + 1))
    task_id = client.next_task_id()
    task = Task(task_id, function, args, execution.context, remote.num_returns, parent=execution.task_id)
    if deps:
        task.deps = [ref.oid for ref in deps]
    refs = [ref.oid for ref in nested if ref.oid]
    if actor is not None and actor.oid:
        refs.append(actor.oid)
    if refs:
        task.refs = refs
    task.retries_left = remote.retries if handle is None else handle.retries
    if handle is not None:
        owner = actor.owner if actor is not None else ""
        task.actor = client.machine.actors.of(handle.actor_id, owner)
        task.group = remote.group
        if client.cluster.plan.classes[handle.cls].pending_max >= 0:
            task.actor.limited += 1
    client.oracle.submitted(client, task, remote, label, handle, place)
    if remote.num_returns == STREAMING:
        client.post(Stream(task_id, paced=remote.backpressure > 0))
    client.post(task)
    return [Ref(client, oid, client.address) for oid in task.return_ids()]


# -- objects


def put(client: SimClient, token: int, size: int, contains: list[Ref]) -> Steps:
    """Make an object of a value; gives its reference."""
    oid = client.next_task_id() + _PUT_SUFFIX
    client.oracle.expect(oid, token)
    value = yield from pack_value(client, oid, client.address, token, size, contains)
    client.post(PutValue(oid, value))
    return Ref(client, oid, client.address)


def pack_value(client: SimClient, oid: bytes, owner: str, token: int, size: int, contains: list[Ref]) -> Steps:
    """A value: inside the message where it is small, else in shared memory."""
    handles, infos = describe(contains)
    data = encode(Content(token, handles))
    if size <= client.config.inline_limit_bytes:
        return Inline(data, None, infos)
    store = client.store
    if client.cluster.plan.nodes:
        size = max(size, least_size(oid, owner, data))
    place = store.place(size, client.world.now)
    if place is None:
        place = yield from _allocate(client, size)
    try:
        yield Pause()  # copying
    except BaseException:
        store.abandon(place)
        client.tell_store()
        raise
    cell = Cell(oid, owner, place.grant, place.size, data)
    client.oracle.facts.lay_in.setdefault(oid, set()).add(client.node.address)
    client.node.memory.write(place.segment, place.offset, cell)
    store.written(place, oid, owner)
    client.tell_store()
    return Stored(oid, owner, client.node.address, place.segment, place.offset, size, infos)


def _allocate(client: SimClient, size: int) -> Steps:
    request = client.store.ask(size)
    number = request.request
    lock = Lock()
    answer = Answer(Waiter(1, lock.release))

    def late() -> None:
        """Whoever asked was interrupted: what is granted for it goes back."""
        reply: Any = answer.reply
        if isinstance(reply, ExtentGranted):
            reply.request = number
            client.store.granted(reply, client.world.now)
            client.tell_store()

    client.post(Ask(client.node.address, request, answer))
    try:
        reply: Any = yield from wait_for_answer(answer, lock)
    except BaseException:
        client.store.forget(number)
        if answer.reply is not None:
            late()
        answer.waiter.wake = late
        raise
    if isinstance(reply, ExtentGranted):
        reply.request = number
        place = client.store.granted(reply, client.world.now)
        assert place is not None
        return place
    client.store.forget(number)
    if isinstance(reply, ExtentRefused):
        client.oracle.store_was_full(client.node)
        raise StoreFull(reply.message)
    assert isinstance(reply, gcs.Reply) and reply.error is not None, reply
    raise RemoteError(reply.error)


def read(client: SimClient, oid: bytes, value: Value, guard: list[Pin] | None = None, *, judge: bool = True) -> Steps:
    """Read a value wherever it lies, as `load` does; raises `ValuesLost` if it is not there."""
    if not isinstance(value, Stored) or not client.fetching.is_far(value):
        return load(client, oid, value, guard, judge=judge)
    while True:
        fetch = None
        while (here := client.fetching.place(value)) is None:
            fetch = yield from client.fetching.bring([value])
        try:
            return load(client, oid, value, guard, judge=judge, here=here)
        except DamagedCopy:
            client.fetching.forget(value)
            client.post(Outgoing(client.node.address, CopiesDamaged([here])))
        finally:
            client.fetching.release(fetch)


def load(
    client: SimClient, oid: bytes, value: Value, guard: list[Pin] | None = None, *, judge: bool = True,
    here: Stored | None = None,
) -> Loaded:  # fmt: skip
    """Read a value that has arrived; raises `RemoteError` for a failed one.

    Parameters
    ----------
    judge
        A failure must have a cause.
    here
        The copy of it in this node, where it lies elsewhere.
    """
    if value == NOTHING:
        # A generator's own: its code has raised, which is its last item.
        client.oracle.observed(client, oid, Failed("RayTaskError", "UserError"))
        return Loaded(0, [], None)
    if judge:
        client.oracle.observed(client, oid, value)
    if isinstance(value, Failed):
        raise RemoteError(value)
    pin = None
    if isinstance(value, Inline):
        data = value.data
    else:
        here = here or value
        # As `raynb.runtime.client.plane` does, which has pinned it before it looks: nothing comes between, here.
        if value.oid in client.machine.objects.freed.values:
            raise RemoteError(Failed("ObjectFreedError", "it was freed by hand"))
        if value.owner in client.dead_owners and value.oid not in client.machine.objects.entries:
            raise RemoteError(Failed("OwnerDiedError", "its owner died, and its memory with it"))
        view = client.node.memory.read(client.address, here.segment, here.offset, here.oid)
        pin = Pin(client, value, here, view)
        if guard is None:
            pin.count()
        else:
            guard.append(pin)
            client.guarded.add(pin)
        if view.cell.damaged:
            pin.drop()
            client.oracle.counts["damaged"] += 1
            raise ValuesLost([value]) if here is value else DamagedCopy
        data = view.cell.data
    content = decode_content(data)
    client.oracle.check_token(client, oid, content.token)
    return Loaded(content.token, unpack_refs(client, content.handles, value.refs), pin)


def get(client: SimClient, refs: list[Ref], timeout_s: float | None, *, judge: bool = True) -> Steps:
    """The values of references, as `Loaded`; raises `TimeoutOfGet`, or `RemoteError` for the first that failed."""
    deadline = None if timeout_s is None else client.world.now + timeout_s
    while True:
        try:
            return (yield from _get(client, refs, deadline, judge=judge))
        except ValuesLost as error:
            for lost in error.lost:
                client.post(LostValue(lost))
            # Its machine has looked at that when it looks at this.
            yield from wait_for(client, [lost.oid for lost in error.lost], len(error.lost), timeout_s)


def _get(client: SimClient, refs: list[Ref], deadline: float | None, *, judge: bool) -> Steps:
    entries = client.machine.objects.entries
    # Again and again: a reference may be let go and come back in between, and its value with it.
    while missing := [ref.oid for ref in refs if (entry := entries.get(ref.oid)) is None or entry.value is None]:
        yield Pause()
        left = None if deadline is None else max(deadline - client.world.now, 0.0)
        arrived = yield from wait_for(client, missing, len(missing), left)
        if not arrived and any((entry := entries.get(ref.oid)) is None or entry.value is None for ref in refs):
            raise TimeoutOfGet
    values: list[Value] = []
    for ref in refs:
        entry = entries.get(ref.oid)
        if entry is None or entry.value is None:
            raise Violation(f"{client.address} waited for {ref}, is told that it is there, but has {entry}")
        values.append(entry.value)
    loaded: list[Loaded] = []
    fetch = None
    try:
        if any(map(client.fetching.is_far, values)):
            fetch = yield from client.fetching.bring(values, deadline)
        for ref, value in zip(refs, values, strict=True):
            loaded.append((yield from read(client, ref.oid, value, judge=judge)))
    except BaseException:
        for one in loaded:
            let_go(one)
        raise
    finally:
        client.fetching.release(fetch)
    return loaded


def let_go(loaded: Loaded) -> None:
    """Nobody looks at a value any more."""
    for ref in loaded.refs:
        ref.drop()
    if loaded.pin is not None:
        loaded.pin.drop()


def wait_for(client: SimClient, oids: list[bytes], needed: int, timeout_s: float | None) -> Steps:
    """Block until ``needed`` of these have settled; False if the time is over before."""
    world = client.world
    lock = Lock()
    waiter = Waiter(needed, lock.release)
    client.post(WaitFor(waiter, oids, client.gives_way))
    deadline = None if timeout_s is None else world.now + timeout_s
    entries = client.machine.objects.entries

    def settled() -> int:
        return sum(1 for oid in oids if (entry := entries.get(oid)) is not None and entry.value is not None)

    try:
        while True:
            left = RECHECK_S if deadline is None else min(RECHECK_S, max(deadline - world.now, 0.0))
            got = yield lock.acquire(left)
            if got or waiter.needed <= 0:
                return True
            if settled() >= needed:
                if waiter.seen and settled() >= needed:
                    raise Violation(f"{client.address}: a lost wake: {needed} of {[name_id(o) for o in oids]}")
                return True
            if deadline is not None and world.now >= deadline:
                if waiter.seen:
                    return False
                deadline = world.now + LOOK_S
    finally:
        if client.gives_way or waiter.needed > 0 or needed < len(oids):
            client.post(StopWaiting(waiter, oids))


def wait(client: SimClient, refs: list[Ref], num_returns: int, timeout_s: float | None) -> Steps:
    """Ray's ``wait``: positions of those that are ready."""
    entries = client.machine.objects.entries

    def ready() -> list[int]:
        found = [
            i for i, ref in enumerate(refs) if (entry := entries.get(ref.oid)) is not None and entry.value is not None
        ]
        return found[:num_returns]

    deadline = None if timeout_s is None else client.world.now + timeout_s
    found = ready()
    while len(found) < num_returns:
        left_s = None if deadline is None else max(0.0, deadline - client.world.now)
        in_time = yield from wait_for(client, [ref.oid for ref in refs], num_returns, left_s)
        found = ready()
        if not in_time:
            break
    return found


def cancel(client: SimClient, ref: Ref, *, force: bool, recursive: bool) -> None:
    client.oracle.cancel_asked(ref.oid, recursive=recursive, force=force)
    client.post(CancelObject(ref.oid, ref.owner, force, recursive))


# -- requests


def ask(client: SimClient, to: str, message: Message) -> Steps:
    """Send a request and wait for its answer."""
    lock = Lock()
    answer = Answer(Waiter(1, lock.release))
    client.post(Ask(to, message, answer))
    return (yield from wait_for_answer(answer, lock))


def wait_for_answer(answer: Answer, lock: Lock) -> Steps:
    while True:
        got = yield lock.acquire(RECHECK_S)
        if got or answer.reply is not None:
            assert answer.reply is not None
            return answer.reply
