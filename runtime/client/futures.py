"""Futures of references: for threads, and for event loops."""

from __future__ import annotations

import concurrent.futures
import contextlib
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.inbox import WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.errors import RayError, RaySystemError
from raynb.runtime.messages.values import Stored

if TYPE_CHECKING:
    import asyncio

    from raynb.runtime.client.client import Client
    from raynb.runtime.client.refs import ObjectRef


class Futures:
    """Futures of a client's references for threads; a thread of their own unpacks values and runs callbacks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._unsettled: set[concurrent.futures.Future[Any]] = set()

    def of(self, ref: ObjectRef[Any]) -> concurrent.futures.Future[Any]:
        """See `ObjectRef.future`."""
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="raynb-futures")
        pool = self._pool
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        self._unsettled.add(future)

        def resolve() -> None:
            try:
                value = self._client.get([ref])[0]
            except BaseException as error:
                self._settle(future, error=error)
            else:
                self._settle(future, value)

        def wake() -> None:
            # The pool takes nothing more while the client stops or the interpreter ends: `close` settles it then.
            with contextlib.suppress(RuntimeError):
                pool.submit(resolve)

        self._client.post(WaitFor(Waiter(1, wake), [ref._id], blocking=False))
        return future

    def _settle(
        self, future: concurrent.futures.Future[Any], value: object = None, error: BaseException | None = None
    ) -> None:
        try:
            self._unsettled.remove(future)
        except KeyError:
            return  # the other thread was first
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def close(self) -> None:
        """Have who still waits for a value know that it won't come. To be called when the client has stopped."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        for future in list(self._unsettled):
            self._settle(future, error=RaySystemError("raynb was shut down before the value was there"))

    def in_loop(self, ref: ObjectRef[Any]) -> asyncio.Future[Any]:
        """A future of a value in the running event loop, or the thread's own if none runs."""
        import asyncio  # here: a script that awaits nothing does without

        # Without a running loop it is of the one that the program is about to run.
        client, loop = self._client, asyncio.get_event_loop()
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
