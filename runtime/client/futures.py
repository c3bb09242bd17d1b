"""Futures of references: for threads, and for event loops."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.inbox import WaitFor
from raynb.runtime.core.ownership import Waiter
from raynb.runtime.messages.errors import RayError
from raynb.runtime.messages.values import Stored

if TYPE_CHECKING:
    import asyncio

    from raynb.runtime.client.client import Client
    from raynb.runtime.client.refs import ObjectRef


def future_of(
    client: Client, ref: ObjectRef[Any], pool: concurrent.futures.ThreadPoolExecutor
) -> concurrent.futures.Future[Any]:
    """A future of a value; values are unpacked, and callbacks run, in the pool's thread."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()

    def resolve() -> None:
        try:
            future.set_result(client.get([ref])[0])
        except BaseException as error:
            future.set_exception(error)

    client.post(WaitFor(Waiter(1, lambda: pool.submit(resolve)), [ref._id], blocking=False))
    return future


def async_future_of(client: Client, ref: ObjectRef[Any]) -> asyncio.Future[Any]:
    """A future of a value in the running event loop."""
    import asyncio  # here: a script that awaits nothing does without

    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def resolve() -> None:
        if future.done():
            return
        try:
            future.set_result(client.get([ref])[0])
        except StopIteration as error:
            # asyncio refuses to carry it.
            future.set_exception(RayError(f"the task raised StopIteration: {error}"))
        except BaseException as error:
            future.set_exception(error)

    def here(values: object = None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve)

    def wake() -> None:
        entry = client.machine.objects.entries.get(ref._id)
        value = None if entry is None else entry.value
        if isinstance(value, Stored) and client.fetching.is_far(value):
            # To wait for it in the loop would hold up everything else there.
            client.fetching.begin([value], here)
        else:
            here()

    client.post(WaitFor(Waiter(1, wake), [ref._id], blocking=False))
    return future
