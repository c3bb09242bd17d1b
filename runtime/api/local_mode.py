"""``init(local_mode=True)``: tasks and actors run here, in the process that calls them, one after the other.

Arguments and results are copied as if they travelled, so that a program behaves the same, and a debugger or a profiler
sees the code. A call is done when ``.remote()`` returns. Objects live in the cluster as always.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client.client import Client
from raynb.runtime.client.dynamic import DynamicObjectRefGenerator
from raynb.runtime.client.execution import EXECUTION, Execution
from raynb.runtime.client.failures import from_exception
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.codec.actor_class import method_of
from raynb.runtime.codec.calls import pack_call, unpack_call
from raynb.runtime.core.inbox import PutValue
from raynb.runtime.core.task import DYNAMIC, STREAMING
from raynb.runtime.messages.errors import RayTaskError
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    import asyncio

DEAD = "The actor is dead because it was killed by `ray.kill`."


class LocalGenerator(ObjectRefGenerator):
    """The references of a generator that has run to its end."""

    def __init__(self, ref: ObjectRef[Any], items: list[ObjectRef[Any]]) -> None:
        super().__init__(ref, None)
        self._items = items
        self._closed = True  # there is no stream that would have to be closed

    def has_come(self) -> bool | None:
        """Whether there is another item."""
        return bool(self._items)

    def _take_or_stop(self, stop: type[Exception]) -> ObjectRef[Any]:
        if not self._items:
            raise stop
        return self._items.pop(0)

    def is_finished(self) -> bool:
        """Whether all items were taken."""
        return not self._items

    def close(self) -> None:
        """Let go of what was not taken."""
        self._items.clear()


class LocalActor:
    """An actor that lives here."""

    def __init__(self, instance: Any, class_name: str, name: str) -> None:
        self.instance = instance
        self.class_name = class_name
        self.name = name
        self.dead = ""


class LocalMode:
    """What runs here, of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.actors: dict[bytes, LocalActor] = {}
        self.names: dict[tuple[str, str], Any] = {}
        """Handles, by namespace and name."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<LocalMode {len(self.actors)} actors>"

    def call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        num_returns: int,
        name: str,
        actor_id: bytes = b"",
    ) -> Any:
        """Run a function now; its references, as ``.remote()`` gives them."""
        client = self._client
        try:
            packed, refs = pack_call(args, kwargs, ObjectRef)
            values = client.get(refs)
        except RayTaskError as error:
            return self._refs(num_returns, self._failed(error, name))  # an input has failed
        with self._as_task(name, actor_id):
            try:
                given, named = unpack_call(packed.data, packed.buffers, values)
                return self._of_value(self._finished(function(*given, **named)), num_returns)
            except Exception as error:
                return self._refs(num_returns, self._failed(error, name))

    def call_method(
        self, actor_id: bytes, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], num_returns: int
    ) -> Any:
        """The same for a method of an actor."""
        actor = self.actors.get(actor_id)
        if actor is None or actor.dead:
            why = actor.dead if actor is not None else "It is of another connection."
            return self._refs(num_returns, Failed("ActorDiedError", why, actor=actor_id))
        special: dict[str, Callable[..., Any]] = {
            "__ray_ready__": lambda: True,
            "__ray_call__": lambda function, *more, **named: function(actor.instance, *more, **named),
            "__ray_terminate__": lambda: self.end(actor_id, "The actor is dead: exit_actor() is called."),
        }
        function = special.get(method) or method_of(actor.instance, method)
        return self.call(function, args, kwargs, num_returns, f"{actor.class_name}.{method}", actor_id)

    def create(self, actor_id: bytes, cls: type, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> None:
        """Make an actor; what its constructor raises is raised here."""
        packed, refs = pack_call(args, kwargs, ObjectRef)
        values = self._client.get(refs)
        with self._as_task(f"{cls.__name__}.__init__", actor_id):
            given, named = unpack_call(packed.data, packed.buffers, values)
            self.actors[actor_id] = LocalActor(cls(*given, **named), cls.__name__, name)

    def end(self, actor_id: bytes, why: str = DEAD) -> None:
        """An actor takes no more calls."""
        actor = self.actors.get(actor_id)
        if actor is not None:
            actor.dead, actor.instance = why, None
        self.names = {name: handle for name, handle in self.names.items() if handle._id != actor_id}

    @contextmanager
    def _as_task(self, name: str, actor_id: bytes) -> Iterator[None]:
        client = self._client
        execution = Execution(client.root.context, client.next_task_id(), name, actor_id, name)
        token = EXECUTION.set(execution)
        try:
            yield
        finally:
            EXECUTION.reset(token)

    def _finished(self, value: Any) -> Any:
        """What a coroutine or an asynchronous generator comes to."""
        if inspect.isasyncgen(value):
            value = _all_of(value)
        if not inspect.iscoroutine(value):
            return value
        import asyncio  # here: a script that awaits nothing does without

        self._loop = self._loop or asyncio.new_event_loop()
        return self._loop.run_until_complete(value)

    def _of_value(self, value: Any, num_returns: int) -> Any:
        if num_returns in (STREAMING, DYNAMIC):
            return self._of_items(iter(value), num_returns)
        if num_returns == 1:
            return self._client.put(value)
        if num_returns == 0:
            return None
        parts = list(value) if inspect.isgenerator(value) else value
        if len(parts) != num_returns:
            raise ValueError(f"Task returned {len(parts)} objects, but num_returns={num_returns}.")
        return [self._client.put(part) for part in parts]

    def _of_items(self, items: Iterator[Any], num_returns: int) -> Any:
        found: list[ObjectRef[Any]] = []
        try:
            found += map(self._client.put, items)
        except Exception as error:
            if num_returns == DYNAMIC:
                raise
            found.append(self._put(self._failed(error, "generator")))
        if num_returns == DYNAMIC:
            return self._client.put(DynamicObjectRefGenerator(found))
        return LocalGenerator(self._client.put(None), found)

    def _refs(self, num_returns: int, failure: Failed) -> Any:
        if num_returns == STREAMING:
            return LocalGenerator(self._put(failure), [self._put(failure)])
        if num_returns in (1, DYNAMIC):
            return self._put(failure)
        return [self._put(failure) for _ in range(num_returns)] or None

    def _failed(self, error: BaseException, name: str) -> Failed:
        return from_exception(error, name, os.getpid())

    def _put(self, failure: Failed) -> ObjectRef[Any]:
        client = self._client
        oid = client.next_task_id() + FIRST_RETURN
        client.post(PutValue(oid, failure, failure.kind))
        return ObjectRef(oid, client.address, client.drop)

    def close(self) -> None:
        """Forget the actors."""
        self.actors.clear()
        self.names.clear()
        if self._loop is not None:
            self._loop.close()


async def _all_of(items: Any) -> list[Any]:
    return [item async for item in items]


running: LocalMode | None = None
"""Where this process's calls run in it; set by ``init(local_mode=True)``."""
