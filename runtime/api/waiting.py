"""``wait`` for references and generators together, and for several items of generators."""

from __future__ import annotations

import time
from _thread import allocate_lock
from collections.abc import Sequence
from typing import Any

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


def wait_for_batches(
    client: Client, wanted: Any, num_return: int, timeout_s: float | None
) -> list[tuple[ObjectRefGenerator, list[ObjectRef[Any]]]]:
    """Take the next items of generators, several at once, from those that have them first.

    Parameters
    ----------
    wanted
        Pairs of a generator and, for each item wanted of it, whether it shall be in this node's memory.
    num_return
        How many generators to take from, at most.

    Returns
    -------
    list
        Of (generator, references). Items that never come fail, with what has ended the generator or with
        `ObjectRefStreamEndOfStreamError`. Where the time is over the items stay where they are.
    """
    _check_batches(wanted, num_return, timeout_s)
    if not wanted:
        return []
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    peeked = [generator._get_next_ref_n(len(flags)) for generator, flags in wanted]
    lasts = [refs[-1] for refs in peeked]
    ready, _ = client.wait(lasts, num_return, timeout_s, fetch_local=False)
    chosen = {ref._id for ref in ready}
    batches = []
    for (generator, flags), refs in zip(wanted, peeked, strict=True):
        if refs[-1]._id not in chosen:
            continue
        here = [ref for ref, flag in zip(refs, flags, strict=True) if flag]
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        if not here or not client.wait(here, len(here), left)[1]:
            generator._consume_next_ref_n(len(refs))
            batches.append((generator, refs))
    return batches


def _check_batches(wanted: Any, num_return: int, timeout_s: float | None) -> None:
    """Raise TypeError or ValueError."""
    if not isinstance(wanted, list):
        raise TypeError(f"a list of pairs (generator, [bool, ...]) is needed, not {type(wanted)}")
    for pair in wanted:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], ObjectRefGenerator):
            raise TypeError(f"each element must be a pair (generator, [bool, ...]), not {pair!r}")
        if not isinstance(pair[1], list) or not all(isinstance(flag, bool) for flag in pair[1]):
            raise TypeError(f"what is wanted of {pair[0]!r} must be a list of bool, not {pair[1]!r}")
        if not pair[1]:
            raise ValueError(f"nothing is wanted of {pair[0]!r}")
    if wanted and not 0 < num_return <= len(wanted):
        raise ValueError(f"num_return must be from 1 to {len(wanted)}, not {num_return}")
    if len({pair[0] for pair in wanted}) != len(wanted):
        raise ValueError("each generator may be there once")
    if timeout_s is not None and timeout_s < 0:
        raise ValueError(f"timeout must not be negative, as {timeout_s} is")
