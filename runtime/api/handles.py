"""Handles to actors, and what they know of the class: its methods and how they may be called."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec import Struct

from raynb.runtime.api import local_mode
from raynb.runtime.api.functions import Invocation, packed_exceptions
from raynb.runtime.api.graphs import no_graphs
from raynb.runtime.api.older_form import OlderForm
from raynb.runtime.api.options import METHOD_OPTIONS, checked, warn_of_dynamic
from raynb.runtime.api.rays_names import RaysNames
from raynb.runtime.api.returns import number_of_returns, returned
from raynb.runtime.api.session import connect
from raynb.runtime.api.signatures import CallSignature
from raynb.runtime.client.client import Client
from raynb.runtime.client.refs import ObjectRef, OfActor
from raynb.runtime.codec.values import SAFE_TYPES
from raynb.runtime.core.actors import ActorClient
from raynb.runtime.core.task import Function
from raynb.runtime.messages.errors import ActorHandleNotFoundError, PendingCallsLimitExceeded
from raynb.runtime.messages.events import TASK_KINDS
from raynb.runtime.messages.tasks import FunctionDef

if TYPE_CHECKING:
    from raynb.runtime.client.why import Why

ACTOR_CALL = TASK_KINDS.index("ACTOR_TASK")


class MethodInfo(Struct, array_like=True, frozen=True):
    """What a handle knows of one method."""

    signature: CallSignature | None
    num_returns: int = 1
    max_task_retries: int | None = None
    retry_exceptions: bool | bytes = False
    backpressure: int = 0
    generator: bool = False
    group: str = ""
    events: bool | None = None
    decorator: bytes = b""


class ClassInfo(Struct, array_like=True, frozen=True):
    """What a handle knows of its actor: the same for all handles, wherever they are from.

    Attributes
    ----------
    max_pending_calls
        Calls of one process that have no outcome yet; -1: as many as there are.
    in_order
        Whether a call whose inputs are not there holds back those behind it.
    groups
        Names of the concurrency groups.
    events
        Whether calls are told to the event hub, where a method does not say.
    module
        Where the class was defined.
    """

    methods: dict[str, MethodInfo]
    max_pending_calls: int = -1
    in_order: bool = True
    groups: list[str] = []
    events: bool = True
    module: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ClassInfo)
_pending_lock = threading.Lock()


def encode_info(info: ClassInfo) -> bytes:
    """For messages, and for handles that travel."""
    return _encoder.encode(info)


@lru_cache(64)
def _decorator(packed: bytes) -> Callable[[Invocation], Invocation]:
    unpacked: Callable[[Invocation], Invocation] = pickle.loads(packed)
    return unpacked


class ActorMethod(OlderForm):
    """A method of an actor: call it with ``.remote(...)``."""

    def __init__(self, handle: ActorHandle, name: str, info: MethodInfo, options: dict[str, Any] | None = None) -> None:
        self._handle = handle
        self._name = name
        self._info = info
        options = self._options = options or {}
        given = options.get("num_returns")
        self._num_returns = info.num_returns if given is None else number_of_returns(given, info.generator)
        self._retry_exceptions = info.retry_exceptions
        if "retry_exceptions" in options:
            self._retry_exceptions = packed_exceptions(options["retry_exceptions"])
        self._backpressure = max(options.get("_generator_backpressure_num_objects") or info.backpressure, 0)
        self._group = options.get("concurrency_group") or info.group
        if self._group and self._group not in handle._info.groups:
            known = ", ".join(handle._info.groups) or "none"
            raise ValueError(
                f"{handle._class_name} has no concurrency group {self._group!r} (of {name}): it has {known}. "
                "They are declared with @ray.remote(concurrency_groups={...})."
            )
        events = options.get("enable_task_events", info.events)
        self._events = handle._info.events if events is None else events
        self._task_name = options.get("name") or ""
        retries = options.get("max_task_retries")
        if retries is None:
            retries = info.max_task_retries
        self._retries = handle._max_task_retries if retries is None else retries

    def __repr__(self) -> str:
        return f"<method {self._name} of {self._handle!r}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"Actor methods cannot be called directly. Instead of running 'object.{self._name}()', "
            f"try 'object.{self._name}.remote()'."
        )

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: raynb has no graphs of Ray's kind."""
        raise no_graphs(f"{self._handle._class_name}.{self._name}.bind")

    def options(self, **options: Any) -> ActorMethod:
        """This method with other options."""
        changed = ActorMethod(self._handle, self._name, self._info, checked(options, METHOD_OPTIONS, "actor methods"))
        warn_of_dynamic(options)
        return changed

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a call. Returns as `RemoteFunction.remote` does."""
        handle = self._handle
        if self._info.decorator:
            return _decorator(self._info.decorator)(self._undecorated())(args, kwargs)
        client = connect()
        if self._info.signature is not None:
            self._info.signature.check(args, kwargs)
        if local_mode.running is not None:
            return local_mode.running.call_method(handle._id, self._name, args, kwargs, self._num_returns)
        owner = ""
        if handle._ref is not None:
            if handle._ref._drop is not client.drop:
                raise ActorHandleNotFoundError(
                    f"Can't find actor {handle!r}. It might be dead or it's from a different cluster: create it again."
                )
            owner = handle._ref._owner
        actor = client.machine.actors.of(handle._id, owner, handle._info.in_order)
        if handle._info.max_pending_calls >= 0:
            self._count(actor, handle._info.max_pending_calls)
        refs = client.submit(
            self._function(client),
            args,
            kwargs,
            num_returns=self._num_returns,
            retries=self._retries,
            name=self._task_name,
            group=self._group,
            actor=actor,
            also=handle._keep,
        )
        return returned(refs, self._num_returns)

    def _undecorated(self) -> Invocation:
        info = msgspec.structs.replace(self._info, decorator=b"")
        plain = ActorMethod(self._handle, self._name, info, self._options)
        return lambda args, kwargs: plain.remote(*args, **kwargs)

    def _count(self, actor: ActorClient, limit: int) -> None:
        with _pending_lock:
            if actor.limited - actor.concluded >= limit:
                raise PendingCallsLimitExceeded(
                    f"The task {self._name} could not be submitted to {self._handle!r} because more than {limit} tasks "
                    "are queued on the actor. This limit can be adjusted with the `max_pending_calls` actor option."
                )
            actor.limited += 1

    def _function(self, client: Client) -> Function:
        handle, name = self._handle, self._name
        how = f"{name} {self._backpressure} {self._events:d} {self._task_name}".encode()
        if self._retry_exceptions:
            how += bytes(self._retry_exceptions)
        key = (handle._id, how)
        function = client.functions.get(key)
        if function is None:
            definition = FunctionDef(
                client.next_number(), b"", name, b"", self._retry_exceptions, backpressure=self._backpressure
            )
            called = f"{handle._class_name.rpartition('.')[2]}.{name}"
            function = client.functions.setdefault(
                key,
                Function(
                    definition,
                    self._task_name or called,
                    {},
                    kind=ACTOR_CALL,
                    job=client.root.context.job,
                    actor_id=handle._id,
                    called=called,
                    events=self._events,
                ),
            )
        return function


class ActorHandle(RaysNames):
    """A handle to an actor. It may be passed to tasks and other actors; the actor ends when the last one is gone.

    Methods are attributes: ``handle.method.remote(...)``.
    """

    def __init__(
        self,
        actor_id: bytes,
        class_name: str,
        info: ClassInfo,
        ref: ObjectRef[Any] | None,
        max_task_retries: int = 0,
    ) -> None:
        self._id = actor_id
        self._class_name = class_name
        self._info = info
        self._methods = info.methods
        self._ref = ref
        self._keep = () if ref is None else (ref,)
        self._max_task_retries = max_task_retries

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in self.__dict__.get("_methods", ()):
            raise AttributeError(name)
        info = self._methods.get(name)
        if info is None and name == "why":
            return self._why  # a method of the class's own would have gone before
        if info is None:
            raise AttributeError(
                f"'ActorHandle' object has no attribute '{name}': it is of an actor of {self._class_name}"
            )
        return ActorMethod(self, name, info)

    def __dir__(self) -> list[str]:
        own = {name for name in self._methods if not name.startswith("__")}
        return sorted({"__init__", "__ray_call__", "__ray_ready__", "__ray_terminate__", *own})

    def __repr__(self) -> str:
        return f"Actor({self._class_name}, {self._id.hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and other._id == self._id

    def __hash__(self) -> int:
        return hash(self._id)

    def _why(self) -> Why:
        """``handle.why()``: why it does not take calls, or what it does, in one sentence."""
        # Imported here: few programs ask.
        from raynb.runtime.client.inquiry import Inquiry

        oid, owner = (b"", "") if self._ref is None else (self._ref._id, self._ref._owner)
        return Inquiry(connect()).actor(self._id, oid, owner)

    def __reduce__(self) -> tuple[Any, ...]:
        info = encode_info(self._info)
        ref = None if self._ref is None else OfActor(self._ref)
        return _rebuild_handle, (self._id, self._class_name, info, ref, self._max_task_retries)


def _rebuild_handle(
    actor_id: bytes, class_name: str, info: bytes, ref: ObjectRef[Any] | None, max_task_retries: int
) -> ActorHandle:
    return ActorHandle(actor_id, class_name, _decoder.decode(info), ref, max_task_retries)


SAFE_TYPES.add(ActorHandle)


def handle_from_reply(data: bytes) -> ActorHandle:
    """A handle to a named actor, from what the GCS knows of it. It does not keep the actor alive, as in Ray."""
    known = msgspec.msgpack.decode(data)
    return ActorHandle(
        known["actor_id"],
        known["class_name"],
        _decoder.decode(known["methods"]),
        None,
        known.get("max_task_retries", 0),
    )


def unkept(handle: ActorHandle) -> ActorHandle:
    """Another handle to the same actor, which does not keep it alive."""
    return ActorHandle(handle._id, handle._class_name, handle._info, None, handle._max_task_retries)
