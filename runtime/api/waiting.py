"""``wait`` for references and generators together."""

from __future__ import annotations

import time
from _thread import allocate_lock
from collections.abc import Sequence

from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client.client import LOOK_S, RECHECK_S, Client
from raynb.runtime.client.ready import Arrivals
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.inbox import StopWaiting, WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.errors import RaySystemError

Waitable = ObjectRef[object] | ObjectRefGenerator


def wait_for_any(
    client: Client,
    waitables: Sequence[Waitable],
    num_returns: int,
    timeout_s: float | None,
    *,
    fetch_local: bool = True,
) -> tuple[list[Waitable], list[Waitable]]:
    """As `Client.wait`; a generator is ready when its next item is, or when it is over."""
    deadline = None if timeout_s is None else time.monotonic() + max(timeout_s, LOOK_S)
    refs = [item._id for item in waitables if isinstance(item, ObjectRef)]
    generators = [item for item in waitables if isinstance(item, ObjectRefGenerator)]
    while True:
        ready = [item for item in waitables if _is_ready(client, item)][:num_returns]
        left = RECHECK_S if deadline is None else min(RECHECK_S, deadline - time.monotonic())
        if len(ready) == num_returns or left <= 0:
            if fetch_local:
                ready = _here(client, ready, deadline)
            chosen = set(map(id, ready))
            return ready, [item for item in waitables if id(item) not in chosen]
        lock = allocate_lock()
        lock.acquire()
        waiter = Waiter(num_returns, lock.release)
        client.post(WaitFor(waiter, refs, client.gives_way))
        for generator in generators:
            client.post(generator.interest(waiter))
        try:
            lock.acquire(timeout=left)
        finally:
            client.post(StopWaiting(waiter, refs + [generator.completed()._id for generator in generators]))
        if not client.host.alive:
            raise RaySystemError("raynb was shut down while this call waited")


def _here(client: Client, ready: list[Waitable], deadline: float | None) -> list[Waitable]:
    """Those that can be read on this node, once the others have had the time to come."""
    refs = [item for item in ready if isinstance(item, ObjectRef)]
    come = {id(refs[at]) for at in Arrivals(client, refs, len(refs)).wait(deadline)}
    return [item for item in ready if not isinstance(item, ObjectRef) or id(item) in come]


def _is_ready(client: Client, item: Waitable) -> bool:
    if isinstance(item, ObjectRef):
        return client.is_ready(item)
    return item.has_come() is not None
