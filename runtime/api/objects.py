"""``get``, ``put``, ``wait``, ``cancel``, ``kill``."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from raynb.runtime.api import local_mode
from raynb.runtime.api.actors import ActorHandle
from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.api.session import connect
from raynb.runtime.api.waiting import wait_for_any
from raynb.runtime.client.client import ID_OF, Client
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.inbox import KillByHandle
from raynb.runtime.core.task import Task


def get(object_refs: Any, *, timeout: float | None = None, _use_object_store: bool = False) -> Any:
    """The value of a reference, or the values of a list of them, in order; waits until they are there.

    Arrays that come from shared memory are read-only views of it: ``.copy()`` one to change it.

    Parameters
    ----------
    object_refs : ObjectRef or list of ObjectRef
    timeout : float, optional
        Seconds; 0 means now or never, -1 that there is no limit.

    Raises
    ------
    GetTimeoutError
        Some values were not there in time (also a `TimeoutError`).
    ValueError
        The timeout is negative, and not -1.
    RayTaskError
        A task failed; the error is an instance of what it raised, too.
    """
    __tracebackhide__ = True
    client = connect()
    if timeout is not None and _is_negative(timeout):
        if timeout != -1:
            raise ValueError(f"The 'timeout' argument must be nonnegative (or -1: no limit). Received {timeout}")
        timeout = None
    if isinstance(object_refs, ObjectRef):
        return client.get([object_refs], timeout)[0]
    if isinstance(object_refs, ObjectRefGenerator):
        return object_refs
    if not isinstance(object_refs, list):
        raise ValueError(
            f"Invalid type of object refs, {type(object_refs)}, is given. 'object_refs' must either be an ObjectRef or "
            "a list of ObjectRefs. "
        )
    if set(map(type, object_refs)) - {ObjectRef}:
        culprit = next(item for item in object_refs if type(item) is not ObjectRef)
        raise TypeError(f"Attempting to call `get` on the value {culprit!r}, which is not an ray.ObjectRef.")
    return client.get(object_refs, timeout)


def _is_negative(timeout: float) -> bool:
    try:
        return not timeout >= 0  # no number is neither
    except TypeError:
        raise TypeError(f"The 'timeout' argument must be a number of seconds, not {timeout!r}") from None


def put(value: Any, *, name: str | None = None, _owner: Any = None, _tensor_transport: Any = None) -> ObjectRef[Any]:
    """Store a value; large ones go to the node's shared memory, where tasks read them without a copy.

    Parameters
    ----------
    name
        The object outlives this process under this name, until `delete_object` or the end of the cluster; `get_object`
        finds it. What had the name before is let go.

    Raises
    ------
    TypeError
        The value is a reference already, or can't be pickled; the message names the culprit.
    ObjectStoreFullError
        There is no room; the message lists who holds what.
    OutOfDiskError
        The same, and the disk that objects go to then is full as well.
    """
    if isinstance(value, ObjectRef):
        raise TypeError(
            "Calling 'put' on an ray.ObjectRef is not allowed. If you really want to do this, you can wrap the "
            "ray.ObjectRef in a list and call 'put' on it."
        )
    if _owner is not None:
        raise ValueError("put(_owner=...) is not supported: Ray has removed it, too")
    if name is not None:
        from raynb.runtime.api.named_objects import put_named

        return put_named(value, name)
    return connect().put(value)


def wait(
    ray_waitables: Sequence[Any], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[Any], list[Any]]:
    """Wait until ``num_returns`` of the references are ready, or the time is over.

    A generator is ready when its next item is, or when it is over.

    Returns
    -------
    ready, not_ready
        Both in the order given; at most ``num_returns`` in the first.

    Raises
    ------
    TypeError, ValueError
        Not a list of references, duplicates, or a number that makes no sense.
    """
    client = connect()
    if isinstance(ray_waitables, ObjectRef | ObjectRefGenerator):
        raise TypeError(
            "wait() expected a list of ray.ObjectRef or ray.ObjectRefGenerator, got a single ray.ObjectRef or "
            f"ray.ObjectRefGenerator {ray_waitables}"
        )
    if not isinstance(ray_waitables, list):
        raise TypeError(f"wait() expected a list of ray.ObjectRef or ray.ObjectRefGenerator, got {type(ray_waitables)}")
    if timeout is not None and _is_negative(timeout):
        raise ValueError(f"The 'timeout' argument must be nonnegative. Received {timeout}")
    kinds = set(map(type, ray_waitables))
    for kind in kinds - {ObjectRef, ObjectRefGenerator}:
        raise TypeError(
            f"wait() expected a list of ray.ObjectRef or ray.ObjectRefGenerator, got list containing {kind}"
        )
    if not ray_waitables:
        return [], []
    # By their ids where that can be: they are hashed faster than references.
    unique = set(ray_waitables) if ObjectRefGenerator in kinds else set(map(ID_OF, ray_waitables))
    if len(unique) != len(ray_waitables):
        raise ValueError("Wait requires a list of unique ray_waitables.")
    try:
        num_returns = index(num_returns)
    except TypeError:
        raise TypeError(f"num_returns must be a whole number, not {num_returns!r}") from None
    if num_returns <= 0:
        raise ValueError(f"Invalid number of objects to return {num_returns}.")
    if num_returns > len(ray_waitables):
        raise ValueError("num_returns cannot be greater than the number of ray_waitables provided to ray.wait.")
    __tracebackhide__ = True
    if ObjectRefGenerator in kinds:
        return wait_for_any(client, ray_waitables, num_returns, timeout, fetch_local=fetch_local)
    return client.wait(ray_waitables, num_returns, timeout, fetch_local=fetch_local)


def cancel(ray_waitable: Any, *, force: bool = False, recursive: bool = True) -> None:
    """Cancel the task that makes a reference, and (``recursive``) those that it started.

    A task that has not started never will; one that runs gets ``KeyboardInterrupt`` (an async call of an actor
    ``CancelledError``), with ``force`` its process is ended. Another call of an actor is told, and runs on:
    ``get_runtime_context().is_canceled()``. ``get`` then raises `TaskCancelledError`. A finished task is not affected.

    Raises
    ------
    TypeError
        It is no reference.
    ValueError
        ``force`` for a call of an actor: nothing of it would be left.
    """
    client = connect()
    ref = ray_waitable.completed() if isinstance(ray_waitable, ObjectRefGenerator) else ray_waitable
    if not isinstance(ref, ObjectRef):
        raise TypeError(f"ray.cancel() only supported for object refs. For actors, try ray.kill(). Got: {type(ref)}.")
    if force and _is_actor_call(client, ref):
        raise ValueError("force=True is not supported for actor tasks.")
    client.cancel(ref, force=bool(force), recursive=bool(recursive))


def _is_actor_call(client: Client, ref: ObjectRef[Any]) -> bool:
    """Whether it is to the result of a call of an actor that was made here, and is not there yet."""
    entry = client.machine.objects.entries.get(ref._id)
    if entry is not None:
        return entry.task is not None and entry.task.actor is not None
    task_id = ref.task_id().binary()
    told = [item for item in list(client.host.inbox) if type(item) is Task and item.id == task_id]
    return any(task.actor is not None for task in told)


def kill(actor: Any, *, no_restart: bool = True) -> None:
    """End an actor's process at once. With ``no_restart=False`` it starts again if its ``max_restarts`` allows."""
    client = connect()
    if not isinstance(actor, ActorHandle):
        raise ValueError(f"ray.kill() only supported for actors. For tasks, try ray.cancel(). Got: {type(actor)}.")
    if local_mode.running is not None:
        local_mode.running.end(actor._id)
    else:
        client.post(KillByHandle(actor._id, bool(no_restart)))
