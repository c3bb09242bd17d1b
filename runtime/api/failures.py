"""Failed tasks of this process, ready to be run again here: their functions and the inputs that they had.

They are kept for a notebook (see `raynb.runtime.core.failed_tasks` for how many and how much), and nowhere else.
"""

from __future__ import annotations

import time
from _thread import allocate_lock
from collections.abc import Callable
from typing import Any

from raynb.runtime.api import session
from raynb.runtime.client import refs
from raynb.runtime.client.client import RECHECK_S, Client
from raynb.runtime.client.failures import to_exception
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.codec.calls import unpack_call
from raynb.runtime.codec.functions import unpack_function
from raynb.runtime.core.failed_tasks import KeepFailures, Recalled, RecallFailure
from raynb.runtime.core.task import STREAMING
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.errors import RaySystemError
from raynb.runtime.messages.sizes import size_text
from raynb.runtime.messages.values import Failed, Value

RECALL_TIMEOUT_S = 30.0


class InputGone(RaySystemError):
    """An input of the failed task can't be had any more."""


class Failure:
    """A task that ran and raised.

    Attributes
    ----------
    name
        What people call the task.
    is_actor_call
        It is a method of an actor, whose state is there alone: it can be looked at, not run again.
    """

    def __init__(self, client: Client, recalled: Recalled) -> None:
        self._client = client
        self._task = recalled.task
        self._failure = recalled.failure
        self._held: dict[bytes, ObjectRef[Any]] = {
            info.oid: ObjectRef(info.oid, info.owner, client.drop) for info in recalled.inputs
        }
        self.name = recalled.task.name or recalled.task.function.name
        self.is_actor_call = recalled.task.actor is not None

    def __repr__(self) -> str:
        return f"<failure of {self.name}>"

    @property
    def traceback(self) -> str:
        """What it raised, as text, with the frames of the worker."""
        return self._failure.message

    @property
    def error(self) -> Exception:
        """What ``get`` raises for it."""
        return to_exception(self._failure)

    def function(self) -> Callable[..., Any]:
        """What the task called, as it was submitted.

        Raises
        ------
        ValueError
            It is a method of an actor.
        """
        if self.is_actor_call:
            raise ValueError(f"{self.name} is a method of an actor: the object that it works on is in the actor")
        called: Callable[..., Any] = unpack_function(self._task.function.definition.blob, "The remote function")
        return called if self._task.num_returns != STREAMING else _to_its_end(called)

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs as the task got them: large arrays are read-only views of the store.

        Raises
        ------
        InputGone
            One was too large to be kept, and nobody else has held it.
        """
        values = [self._client.load(self._value_of(oid)) for oid in self._task.deps or ()]
        return unpack_call(self._task.args, self._task.buffers, values)

    def _value_of(self, oid: bytes) -> Value:
        entry = self._client.machine.objects.entries.get(oid) if oid in self._held else None
        value = None if entry is None else entry.value
        if value is None or isinstance(value, Failed):
            limit = self._client.config.failures_kept_bytes
            raise InputGone(
                f"an input of {self.name}, object {oid.hex()}, is gone: the inputs of failed tasks are kept up to "
                f"{size_text(limit)} in all. ray.init(_system_config={{'failures_kept_bytes': ...}}) changes that; "
                "or hold a reference to the input, and run the task again."
            )
        return value


def _to_its_end(function: Callable[..., Any]) -> Callable[..., list[Any]]:
    """A generator as a task runs it: until it has no more items."""

    def run(*args: Any, **kwargs: Any) -> list[Any]:
        return list(function(*args, **kwargs))

    return run


def keep(wanted: bool = True) -> None:
    """Keep failures, of this connection and later ones; or let go of all."""
    session.keeps_failures = wanted
    if refs.connected():
        client = refs.current()
        config = client.config
        client.post(KeepFailures(config.failures_kept, config.failures_kept_bytes) if wanted else KeepFailures(0, 0))


def recall(oid: bytes = b"") -> Failure | None:
    """The failure that an object stands for, or the last one of all; None if it isn't there (any more).

    A task that failed since its input had failed stands for the one that made the input.
    """
    if not refs.connected():
        return None
    client = refs.current()
    woken = allocate_lock()
    woken.acquire()
    item = RecallFailure(oid, Waiter(0, woken.release))
    client.post(item)
    deadline = time.monotonic() + RECALL_TIMEOUT_S
    while not woken.acquire(timeout=RECHECK_S):
        if not client.host.alive or time.monotonic() > deadline:
            raise RaySystemError("raynb was shut down while this call waited")
    return None if item.found is None else Failure(client, item.found)
