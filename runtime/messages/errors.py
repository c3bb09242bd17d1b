"""The exceptions that users see, under Ray's names (``raynb.exceptions``).

Names, bases and the behaviour that programs rely on are Ray's: an error of a task is an instance of `RayTaskError`
*and* of the type that the task raised, `GetTimeoutError` is a `TimeoutError`, and so on. Each can be pickled, with what
was set on it.

Some of Ray's constructors take an id, a code or a cause first. What raynb itself has to say is a sentence:
`RayError.told` makes an instance that says it, whatever the constructor asks for.
"""

from __future__ import annotations

from typing import Any, Self

from raynb.runtime.messages.task_error import PUBLIC_MODULE
from raynb.runtime.messages.task_error import RayError as RayError
from raynb.runtime.messages.task_error import RayTaskError as RayTaskError


class RaySystemError(RayError):
    """The runtime itself failed, not the user's code.

    Attributes
    ----------
    client_exc
        What failed: an exception or a sentence.
    traceback_str : str or None
    """

    def __init__(self, client_exc: Any = "", traceback_str: str | None = None) -> None:
        super().__init__(client_exc)
        self.client_exc = client_exc
        self.traceback_str = traceback_str

    def __str__(self) -> str:
        trace = f"\ntraceback: {self.traceback_str}" if self.traceback_str else ""
        return f"System error: {self.client_exc}{trace}"


class RpcError(RayError):
    """A process of the cluster did not answer.

    Attributes
    ----------
    message : str
    rpc_code : int or None
        The transport's own number for the failure; raynb has none.
    """

    def __init__(self, message: str, rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.rpc_code = rpc_code


class AuthenticationError(RayError):
    """The cluster refused the key that was presented.

    Attributes
    ----------
    message : str
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CrossLanguageError(RayError):
    """A call into another language: raynb is Python only."""

    def __init__(self, ray_exception: Any) -> None:
        super().__init__(f"an exception of another language: {ray_exception}")


class UserCodeException(RayError):
    """Code that the user gave to the runtime (a hook, a callback) raised."""


class TaskCancelledError(RayError):
    """The task was cancelled.

    Attributes
    ----------
    task_id : str or None
        In hex.
    error_message : str or None
    """

    def __init__(self, task_id: Any = None, error_message: str | None = None) -> None:
        which = f"Task {task_id}" if task_id else "This task or its dependency"
        super().__init__(error_message or f"{which} was cancelled.")
        self.task_id = task_id
        self.error_message = error_message

    @classmethod
    def told(cls, message: str) -> Self:
        """An instance whose text is ``message``."""
        return cls(error_message=message)


class GetTimeoutError(RayError, TimeoutError):
    """``get`` did not finish within its timeout."""


class DeadlockError(RayError):
    """Tasks or actors wait for each other in a circle."""


class TaskUnschedulableError(RayError):
    """The task can't be scheduled any more.

    Attributes
    ----------
    error_message : str
        Why not.
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The task is not schedulable: {self.error_message}"


class ActorUnschedulableError(RayError):
    """The actor can't be scheduled any more.

    Attributes
    ----------
    error_message : str
        Why not.
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message

    def __str__(self) -> str:
        return f"The actor is not schedulable: {self.error_message}"


class _Told(RayError):
    """An error whose only attribute is its ``message``."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class WorkerCrashedError(RayError):
    """The worker process died while it ran the task."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message or "The worker died unexpectedly while executing this task. `raynb logs` shows its last lines."
        )


class NodeDiedError(_Told):
    """The node that the task ran on is gone."""


class LocalRayletDiedError(RayError):
    """This node's manager is gone, and with it the node."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message
            or "The task's local raylet died: this node's manager is gone, and with it the node. Call init() again."
        )


class OutOfMemoryError(_Told):
    """The task was stopped because the node was running out of memory."""


class OutOfDiskError(RayError):
    """There is no disk space left for spilling."""


class RuntimeEnvSetupError(RayError):
    """The task's or actor's ``runtime_env`` could not be set up.

    Attributes
    ----------
    error_message : str or None
        Why not, and the log of what was tried.
    """

    def __init__(self, error_message: str | None = None) -> None:
        super().__init__(error_message or "")
        self.error_message = error_message

    def __str__(self) -> str:
        return f"Failed to set up runtime environment.\n{self.error_message or ''}".rstrip()


class PendingCallsLimitExceeded(RayError):
    """The actor's ``max_pending_calls`` is reached."""


class UnserializableException(RayError):
    """A task raised an exception that can't be made again here from its pickle.

    Attributes
    ----------
    original_stack_trace : str
        What it said where it was raised.
    """

    def __init__(self, original_stack_trace: str) -> None:
        super().__init__(original_stack_trace)
        self.original_stack_trace = original_stack_trace

    def __str__(self) -> str:
        return (
            "The exception of a task can't be unpickled here (give its class a __reduce__ that says how it is made).\n"
            f"Original exception:\n{self.original_stack_trace}"
        )


class OufOfBandObjectRefSerializationException(RayError):
    """A reference was pickled outside of raynb, where it is not permitted. (The spelling is Ray's.)"""


class TaskPlacementGroupRemoved(RayError):
    """The placement group of the task was removed."""

    def __str__(self) -> str:
        return super().__str__() or "The placement group corresponding to this task has been removed."


class ActorPlacementGroupRemoved(RayError):
    """The placement group of the actor was removed."""

    def __str__(self) -> str:
        return super().__str__() or "The placement group corresponding to this Actor has been removed."


class RayActorError(RayError):
    """An actor can't answer, or won't ever.

    Attributes
    ----------
    actor_id : str or None
        In hex.
    error_msg : str
    actor_init_failed : bool
        It died because its constructor raised.
    preempted : bool
        It died because its node was taken away.
    """

    BASE_ERROR_MSG = "The actor experienced an error before finishing this task."

    def __init__(
        self,
        actor_id: str | None = None,
        error_msg: str = BASE_ERROR_MSG,
        actor_init_failed: bool = False,
        preempted: bool = False,
    ) -> None:
        super().__init__(error_msg)
        self.actor_id = actor_id
        self.error_msg = error_msg
        self.actor_init_failed = actor_init_failed
        self.preempted = preempted

    def __str__(self) -> str:
        return self.error_msg

    @classmethod
    def told(cls, message: str) -> Self:
        """An instance whose text is ``message``."""
        error = cls.__new__(cls, message)
        RayActorError.__init__(error, error_msg=message)
        return error

    def say_whose(self, actor_id: str, init_failed: bool, about: str = "") -> None:
        """Which actor it is about, and whether its constructor raised. ``about``: as in `Failed`."""
        self.actor_id = actor_id
        self.actor_init_failed = init_failed


class ActorDiedError(RayActorError):
    """The actor is dead and won't be restarted. The message says whether this call may have run."""

    BASE_ERROR_MSG = "The actor died unexpectedly before finishing this task."

    def __init__(self, cause: Any = None) -> None:
        failed_init = isinstance(cause, RayTaskError)
        why = "The actor died because of an error raised in its creation task." if failed_init else self.BASE_ERROR_MSG
        if cause is not None:
            why = f"{why}\n{cause}"
        super().__init__(cause.actor_id if failed_init else None, why, actor_init_failed=failed_init)

    def say_whose(self, actor_id: str, init_failed: bool, about: str = "") -> None:
        """Which actor it is about, in its text too."""
        super().say_whose(actor_id, init_failed)
        if not init_failed:
            lines = about.split("\n") if about else []
            lines.insert(1, f"actor_id: {actor_id}")  # after the class
            whose = "".join(f"\n\t{line}" for line in lines)
            self.error_msg = f"The actor died unexpectedly before finishing this task.{whose}\n{self.error_msg}"
            self.args = (self.error_msg,)

    @classmethod
    def from_task_error(cls, task_error: RayTaskError) -> Self:
        """The death of an actor whose constructor raised this."""
        return cls(task_error)


class ActorUnavailableError(RayActorError):
    """The actor can't be reached now; it may come back. This call may have run."""

    def __init__(self, error_message: str, actor_id: bytes | None = None) -> None:
        hex_id = actor_id.hex() if actor_id else None
        super().__init__(
            hex_id,
            f"The actor {hex_id or ''} is unavailable: {error_message}. The task may or may not have been executed on "
            "the actor.",
        )

    def say_whose(self, actor_id: str, init_failed: bool, about: str = "") -> None:
        """Which actor it is about, in its text too."""
        super().say_whose(actor_id, init_failed)
        self.error_msg = f"The actor {actor_id} is unavailable: {self.error_msg}"
        self.args = (self.error_msg,)


class ActorAlreadyExistsError(ValueError, RayError):
    """The name is taken in this namespace.

    Attributes
    ----------
    error_message : str
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message


class ActorHandleNotFoundError(ValueError, RayError):
    """The handle is of an actor that this cluster has never had: of an earlier one, say.

    Attributes
    ----------
    error_message : str
    """

    def __init__(self, error_message: str) -> None:
        super().__init__(error_message)
        self.error_message = error_message


class AsyncioActorExit(RayError):
    """Raised inside an async actor by ``exit_actor``."""


class ObjectLostError(RayError):
    """The object's value is lost.

    Attributes
    ----------
    object_ref_hex : str
    owner_address : str
        Of the process that owns it, as far as it is known.
    call_site : str
        The line that made the reference, as far as it is known.
    """

    WHY = "All copies of it are gone with their nodes, and it can't be computed again."

    def __init__(self, object_ref_hex: str, owner_address: Any = None, call_site: str = "") -> None:
        where = f" The ObjectRef was created at: {call_site}" if call_site else ""
        super().__init__(f"Failed to retrieve object {object_ref_hex}.{where}\n\n{self.WHY}")
        self.object_ref_hex = object_ref_hex
        self.owner_address = owner_address
        self.call_site = call_site

    @classmethod
    def told(cls, message: str) -> Self:
        """An instance whose text is ``message``."""
        error = cls("")
        error.args = (message,)
        return error


class ObjectFreedError(ObjectLostError):
    """The object was freed by hand."""

    WHY = "It was freed by hand, while this reference to it was still in use."


class ObjectFetchTimedOutError(ObjectLostError):
    """The object could not be fetched in time."""

    WHY = "No node that has it answered in time."


class OwnerDiedError(ObjectLostError):
    """The process that owned the object is dead."""

    WHY = "The process that owned it, which called .remote() or put(), has ended, and its objects with it."


class ObjectReconstructionFailedError(ObjectLostError):
    """The object was lost and could not be computed again.

    Attributes
    ----------
    reason
        A word for why not.
    reason_message : str or None
        The same as a sentence.
    """

    WHY = "It was lost and could not be computed again."

    def __init__(
        self,
        object_ref_hex: str,
        reason: Any = None,
        reason_message: str | None = None,
        owner_address: Any = None,
        call_site: str = "",
    ) -> None:
        super().__init__(object_ref_hex, owner_address, call_site)
        self.reason = reason
        self.reason_message = reason_message
        if reason_message:
            self.args = (f"{self.args[0]} [{reason or 'UNKNOWN'}] {reason_message}",)


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The object was freed while a reference to it was still in use: an error of raynb's."""

    WHY = "It was freed while a reference to it was still in use, which is an error of raynb's: please report it."


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
    """The class of this name; `RaySystemError` for a name that is not known."""
    found = globals().get(kind)
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    builtin = {"KeyError": KeyError, "ValueError": ValueError, "TypeError": TypeError, "RuntimeError": RuntimeError}
    return builtin.get(kind, RaySystemError)


def make_error(kind: str, message: str) -> Exception:
    """The exception that a `Failed` stands for."""
    found = error_class(kind)
    return found.told(message) if issubclass(found, RayError) else found(message)


for _error in [*globals().values()]:
    if isinstance(_error, type) and issubclass(_error, RayError) and not _error.__name__.startswith("_"):
        # In tracebacks they are what programs know them as.
        _error.__module__ = PUBLIC_MODULE
