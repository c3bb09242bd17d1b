"""The exceptions that users see, under Ray's names (``raynb.exceptions``).

Names, bases and the behaviour that programs rely on are Ray's: an error of a task is an instance of `RayTaskError`
*and* of the type that the task raised, `GetTimeoutError` is a `TimeoutError`, and so on.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from types import BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any


class RayError(Exception):
    """Base of everything that raynb raises about remote work."""


class RaySystemError(RayError):
    """The runtime itself failed, not the user's code."""


class RpcError(RayError):
    """A process of the cluster did not answer."""


class AuthenticationError(RayError):
    """The cluster refused the key that was presented."""


class CrossLanguageError(RayError):
    """A call into another language: raynb is Python only."""


class UserCodeException(RayError):
    """Code that the user gave to the runtime (a hook, a callback) raised."""


class RayTaskError(RayError):
    """A task raised. Raised by ``get`` as an instance of this class and of the type of the cause.

    Attributes
    ----------
    function_name : str
        What raised.
    traceback_str : str
        The remote traceback, as text.
    cause : BaseException or None
        The exception itself, where it could be pickled.
    pid, ip
        Where the task ran.
    """

    def __init__(
        self,
        function_name: str,
        traceback_str: str,
        cause: BaseException | None = None,
        pid: int = 0,
        ip: str = "127.0.0.1",
    ) -> None:
        super().__init__(function_name, traceback_str, cause, pid, ip)
        self.function_name = function_name
        self.traceback_str = traceback_str
        self.cause = cause
        self.pid = pid
        self.ip = ip

    def __str__(self) -> str:
        return f"{self.function_name} (pid={self.pid}, ip={self.ip})\n{self.traceback_str}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_task_error, (self.function_name, self.traceback_str, self.cause, self.pid, self.ip)

    def as_instanceof_cause(self) -> RayTaskError:
        """This error as an instance of its cause's type too (itself, where that can't be)."""
        cause = self.cause
        if cause is None or isinstance(cause, RayTaskError) or type(self) is not RayTaskError:
            return cause if isinstance(cause, RayTaskError) else self
        cause_type: Any = type(cause)
        both = _both(cause_type)
        if both is None:
            return self
        error = both.__new__(both, *cause.args)
        error.args = cause.args
        _copy_state(cause, error)
        for name in ("function_name", "traceback_str", "cause", "pid", "ip"):
            setattr(error, name, getattr(self, name))
        return error


def _rebuild_task_error(
    function_name: str, traceback_str: str, cause: BaseException | None, pid: int, ip: str
) -> RayTaskError:
    return RayTaskError(function_name, traceback_str, cause, pid, ip).as_instanceof_cause()


@lru_cache(maxsize=256)
def _both(cause_type: type[Any]) -> type[RayTaskError] | None:
    """A class that is `RayTaskError` and ``cause_type``, None where Python can't build one (a layout conflict, say)."""
    if issubclass(RayTaskError, cause_type):
        return RayTaskError

    try:
        # The base's own __init__ may ask for arguments that nobody has here: it is left out, the state is copied.
        return type(
            f"RayTaskError({cause_type.__name__})",
            (RayTaskError, cause_type),
            {
                "__module__": RayTaskError.__module__,
                "__init__": lambda self, *args: None,
                "__new__": _new_exception,
                "__str__": RayTaskError.__str__,
                "__reduce__": RayTaskError.__reduce__,
            },
        )
    except TypeError:
        return None


def _new_exception(cls: type[BaseException], *args: object) -> BaseException:
    """Skip the ``__new__`` of users' classes; C-level bases (OSError, ...) need theirs."""
    for base in cls.__mro__:
        new = base.__dict__.get("__new__")
        if isinstance(new, BuiltinFunctionType):
            try:
                made = new(cls, *args)
            except TypeError:
                made = new(cls)
            assert isinstance(made, BaseException)
            return made
    return BaseException.__new__(cls)


def _copy_state(source: BaseException, target: BaseException) -> None:
    """Copy attributes, also those that C-level exceptions keep outside ``__dict__`` (errno, filename, name, value)."""
    target.__dict__.update(getattr(source, "__dict__", {}))
    for base in type(source).__mro__:
        for name, member in base.__dict__.items():
            if isinstance(member, MemberDescriptorType | GetSetDescriptorType) and not name.startswith("_"):
                with suppress(AttributeError, TypeError):
                    setattr(target, name, getattr(source, name))


class TaskCancelledError(RayError):
    """The task was cancelled."""

    def __init__(self, message: str | None = None, task_id: bytes | None = None) -> None:
        super().__init__(message or "This task or its dependency was cancelled.")
        self.task_id = task_id


class GetTimeoutError(RayError, TimeoutError):
    """``get`` did not finish within its timeout."""


class DeadlockError(RayError):
    """Tasks or actors wait for each other in a circle."""


class TaskUnschedulableError(RayError):
    """The task can't be scheduled any more."""


class ActorUnschedulableError(RayError):
    """The actor can't be scheduled any more."""


class WorkerCrashedError(RayError):
    """The worker process died while it ran the task."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "The worker died unexpectedly while it ran this task.")


class NodeDiedError(RayError):
    """The node that the task ran on is gone."""


class LocalRayletDiedError(RayError):
    """This node's manager is gone, and with it the node."""


class OutOfMemoryError(RayError):
    """The task was stopped because the node was running out of memory."""


class OutOfDiskError(RayError):
    """There is no disk space left for spilling."""


class RuntimeEnvSetupError(RayError):
    """The task's or actor's ``runtime_env`` could not be set up."""


class PendingCallsLimitExceeded(RayError):
    """The actor's ``max_pending_calls`` is reached."""


class UnserializableException(RayError):
    """A task raised an exception that could not be pickled; this is its text."""


class OufOfBandObjectRefSerializationException(RayError):
    """A reference was pickled outside of raynb, where it is not permitted. (The spelling is Ray's.)"""


class TaskPlacementGroupRemoved(RayError):
    """The placement group of the task was removed."""


class ActorPlacementGroupRemoved(RayError):
    """The placement group of the actor was removed."""


class RayActorError(RayError):
    """An actor can't answer, or won't ever.

    Attributes
    ----------
    actor_id : str or None
        In hex.
    """

    def __init__(self, message: str | None = None, actor_id: str | None = None) -> None:
        super().__init__(message or "The actor died unexpectedly before it finished this call.")
        self.actor_id = actor_id


class ActorDiedError(RayActorError):
    """The actor is dead and won't be restarted. The message says whether this call may have run."""


class ActorUnavailableError(RayActorError):
    """The actor can't be reached now; it may come back. This call may have run."""


class ActorAlreadyExistsError(ValueError, RayError):
    """The name is taken in this namespace."""


class ActorHandleNotFoundError(ValueError, RayError):
    """No living actor has this name."""


class AsyncioActorExit(RayError):
    """Raised inside an async actor by ``exit_actor``."""


class ObjectLostError(RayError):
    """The object's value is lost.

    Attributes
    ----------
    object_ref_hex : str
    """

    def __init__(self, message: str | None = None, object_ref_hex: str = "") -> None:
        super().__init__(message or f"The value of object {object_ref_hex} is lost.")
        self.object_ref_hex = object_ref_hex


class ObjectFreedError(ObjectLostError):
    """The object was freed by hand."""


class ObjectFetchTimedOutError(ObjectLostError):
    """The object could not be fetched in time."""


class OwnerDiedError(ObjectLostError):
    """The process that owned the object is dead."""


class ObjectReconstructionFailedError(ObjectLostError):
    """The object was lost and could not be computed again."""


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The object was freed while a reference to it was still in use: an error of raynb's."""


class ObjectStoreFullError(RayError):
    """The object store has no room; the message lists who holds what."""


class PlasmaObjectNotAvailable(RayError):
    """The object is not in this node's store."""


class ObjectRefStreamEndOfStreamError(RayError):
    """The generator has no more items."""


class StreamingGeneratorReplayInconsistentError(RaySystemError):
    """A generator that was run again yielded something else."""


class RayChannelError(RaySystemError):
    """A compiled graph's channel failed."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """A compiled graph's channel timed out."""


class RayCgraphCapacityExceeded(RaySystemError):
    """A compiled graph holds too many results."""


class RayDirectTransportError(RaySystemError):
    """A direct transfer between accelerators failed."""


def error_class(kind: str) -> type[Exception]:
    """The class that a `Failed` names; `RaySystemError` for a name that is not known."""
    found = globals().get(kind)
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    builtin = {"KeyError": KeyError, "ValueError": ValueError, "TypeError": TypeError, "RuntimeError": RuntimeError}
    return builtin.get(kind, RaySystemError)
