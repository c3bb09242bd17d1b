"""Actors: what ``@remote`` makes of a class, and the handles to its instances."""

from __future__ import annotations

import inspect
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from raynb.runtime.api.functions import definition_site, packed_exceptions
from raynb.runtime.api.options import ACTOR_OPTIONS, METHOD_OPTIONS, checked, resources_of
from raynb.runtime.api.returns import is_generator, number_of_returns, returned
from raynb.runtime.api.session import connect
from raynb.runtime.api.signatures import CallSignature, signature_of
from raynb.runtime.client.client import Client
from raynb.runtime.client.failures import to_exception
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.codec.calls import pack_call
from raynb.runtime.codec.functions import pack_function
from raynb.runtime.codec.values import SAFE_TYPES
from raynb.runtime.core.inbox import Answer
from raynb.runtime.core.ownership import Waiter
from raynb.runtime.core.task import Function, Task
from raynb.runtime.messages import gcs
from raynb.runtime.messages.events import TASK_KINDS
from raynb.runtime.messages.ids import FIRST_RETURN, actor_id_of
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import FunctionDef

if TYPE_CHECKING:
    from raynb.runtime.client.why import Why

ACTOR_CREATION = TASK_KINDS.index("ACTOR_CREATION_TASK")
ACTOR_CALL = TASK_KINDS.index("ACTOR_TASK")


class MethodInfo(Struct, array_like=True, frozen=True):
    """What a handle knows of one method."""

    signature: CallSignature | None
    num_returns: int = 1
    max_task_retries: int | None = None
    retry_exceptions: bool | bytes = False
    backpressure: int = 0
    generator: bool = False


_methods_encoder = msgspec.msgpack.Encoder()
_methods_decoder = msgspec.msgpack.Decoder(dict[str, MethodInfo])


def methods_of(cls: type) -> dict[str, MethodInfo]:
    """The methods that a handle offers; Ray's own extra ones with them."""
    found: dict[str, MethodInfo] = {}
    for name, member in inspect.getmembers(cls, callable):
        if name.startswith("__") and name not in ("__call__", "__init__", "__enter__", "__exit__", "__len__"):
            continue
        raw = inspect.getattr_static(cls, name)
        bound = isinstance(raw, staticmethod | classmethod)
        options = getattr(member, "__raynb_method__", {})
        generator = is_generator(member)
        found[name] = MethodInfo(
            signature_of(member, name=name, skip_self=not bound),
            number_of_returns(options.get("num_returns"), generator),
            options.get("max_task_retries"),
            packed_exceptions(options.get("retry_exceptions", False)),
            options.get("_generator_backpressure_num_objects") or 0,
            generator,
        )
    for name in ("__ray_terminate__", "__ray_ready__", "__ray_call__"):
        found[name] = MethodInfo(None)
    return found


class ActorClass:
    """A class whose instances are actors. Made by ``@remote``; instantiate it with ``.remote(...)``."""

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self._cls = cls
        self._options = checked(options, ACTOR_OPTIONS, "actors")
        if self._options.get("get_if_exists") and not self._options.get("name"):
            raise ValueError("The actor name must be specified to use `get_if_exists`.")
        self._methods = methods_of(cls)
        self._client: Client | None = None
        self._definition: FunctionDef
        self._held: list[object] = []
        self.__name__ = cls.__name__
        self.__qualname__ = cls.__qualname__
        self.__module__ = cls.__module__
        self.__doc__ = cls.__doc__

    def __repr__(self) -> str:
        return f"<actor class {self._cls.__qualname__}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._cls.__name__
        raise TypeError(f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'.")

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorClass, (self._cls, self._options)

    def options(self, **options: Any) -> ActorClass:
        """This class with other options; the original keeps its own."""
        checked(options, ACTOR_OPTIONS, "actors", in_options=True)
        return ActorClass(self._cls, {**self._options, **options})

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Create an actor; does not wait for its constructor.

        Raises
        ------
        TypeError
            The arguments do not fit the constructor, or can't be pickled.
        ValueError
            The name is taken in this namespace.
        """
        client = connect()
        signature = self._methods["__init__"].signature
        if inspect.getattr_static(self._cls, "__init__") is object.__init__:
            if args or kwargs:
                raise TypeError(f"{self._cls.__name__}() takes no arguments")
        elif signature is not None:
            signature.check(args, kwargs)
        if client is not self._client:
            self._register(client)
        return self._create(client, args, kwargs)

    def _register(self, client: Client) -> None:
        held: list[object] = []
        class_id, blob = pack_function(self._cls, held)
        self._definition = FunctionDef(client.next_number(), class_id, self._cls.__name__, blob)
        self._held = held
        self._client = client

    def _create(self, client: Client, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorHandle:
        options = self._options
        packed, dependencies = pack_call(args, kwargs, ObjectRef)
        execution = client.execution()
        task_id = client.next_task_id()
        actor_id = actor_id_of(task_id)
        name, detached = options.get("name") or "", options.get("lifetime") == "detached"
        namespace = options.get("namespace") or execution.context.namespace
        # Ray's rule: by default an actor needs one CPU to be placed, and none to live on.
        resources = resources_of(options, 0)
        creation = gcs.CreateActor(
            0,
            StartActor(
                actor_id,
                0,
                self._definition,
                packed.data,
                [bytes(buffer) for buffer in packed.buffers] if packed.buffers else None,
                None,
                execution.context,
                resources,
                "" if detached else client.address,
                name,
                options.get("max_concurrency") or 0,
                task_id=task_id,
                restarts=options.get("max_restarts", 0) != 0,
            ),
            name,
            namespace,
            detached,
            options.get("max_restarts", 0),
            options.get("max_task_retries", 0),
            self._cls.__name__,
            _methods_encoder.encode(self._methods),
            definition_site(self._cls),
            bool(options.get("get_if_exists")),
        )
        lock = allocate_lock()
        lock.acquire()
        answer = Answer(Waiter(1, lock.release)) if name else None
        task = Task(
            task_id,
            self._constructor(client, resources),
            packed.data,
            execution.context,
            parent=execution.task_id,
            creation=creation,
            answer=answer,
        )
        if dependencies:
            task.deps = [ref._id for ref in dependencies]
        if packed.refs:
            task.refs = [info.oid for info in packed.refs]
        client.post(task)
        ref: ObjectRef[Any] = ObjectRef(task_id + FIRST_RETURN, client.address, client.drop)
        if answer is not None:
            existing = self._await_name(client, answer, lock, actor_id)
            if existing is not None:
                return existing
        keep = None if detached else ref
        return ActorHandle(actor_id, self._cls.__name__, self._methods, keep, options.get("max_task_retries", 0))

    def _await_name(self, client: Client, answer: Answer, lock: Any, actor_id: bytes) -> ActorHandle | None:
        """A name is taken or granted by the GCS: the caller learns it at once. The actor that has it, if one may."""
        reply = client.wait_for_answer(answer, lock)
        assert isinstance(reply, gcs.Reply)
        if reply.error is not None:
            raise to_exception(reply.error)
        existing = handle_from_reply(reply.data)
        return None if existing._actor_id == actor_id else existing

    def _constructor(self, client: Client, resources: dict[str, float]) -> Function:
        key = (self._definition.function_id, b"constructor")
        function = client.functions.get(key)
        if function is None:
            name = f"{self._cls.__name__}.__init__"
            function = client.functions[key] = Function(
                FunctionDef(client.next_number(), b"", name, b""),
                name,
                resources,
                kind=ACTOR_CREATION,
                call_site=definition_site(self._cls),
                job=client.root.context.job,
            )
        return function


class ActorMethod:
    """A method of an actor: call it with ``.remote(...)``."""

    def __init__(self, handle: ActorHandle, name: str, info: MethodInfo, options: dict[str, Any] | None = None) -> None:
        self._handle = handle
        self._name = name
        self._info = info
        options = options or {}
        given = options.get("num_returns")
        self._num_returns = info.num_returns if given is None else number_of_returns(given, info.generator)
        self._retry_exceptions = info.retry_exceptions
        if "retry_exceptions" in options:
            self._retry_exceptions = packed_exceptions(options["retry_exceptions"])
        self._backpressure = max(options.get("_generator_backpressure_num_objects") or info.backpressure, 0)
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

    def options(self, **options: Any) -> ActorMethod:
        """This method with other options."""
        return ActorMethod(self._handle, self._name, self._info, checked(options, METHOD_OPTIONS, "actor methods"))

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a call. Returns as `RemoteFunction.remote` does."""
        handle = self._handle
        client = connect()
        if self._info.signature is not None:
            self._info.signature.check(args, kwargs)
        refs = client.submit(
            self._function(client),
            args,
            kwargs,
            num_returns=self._num_returns,
            retries=self._retries,
            name=self._task_name,
            actor=client.machine.actors.of(handle._actor_id, "" if handle._ref is None else handle._ref._owner),
            also=handle._keep,
        )
        return returned(refs, self._num_returns)

    def _function(self, client: Client) -> Function:
        handle, name = self._handle, self._name
        how = f"{name} {self._backpressure} {self._task_name}".encode()
        if self._retry_exceptions:
            how += bytes(self._retry_exceptions)
        key = (handle._actor_id, how)
        function = client.functions.get(key)
        if function is None:
            definition = FunctionDef(
                client.next_number(), b"", name, b"", self._retry_exceptions, backpressure=self._backpressure
            )
            function = client.functions.setdefault(
                key,
                Function(
                    definition,
                    self._task_name or f"{handle._class_name}.{name}",
                    {},
                    kind=ACTOR_CALL,
                    job=client.root.context.job,
                    actor_id=handle._actor_id,
                ),
            )
        return function


class ActorHandle:
    """A handle to an actor. It may be passed to tasks and other actors; the actor ends when the last one is gone.

    Methods are attributes: ``handle.method.remote(...)``.
    """

    def __init__(
        self,
        actor_id: bytes,
        class_name: str,
        methods: dict[str, MethodInfo],
        ref: ObjectRef[Any] | None,
        max_task_retries: int = 0,
    ) -> None:
        self._actor_id = actor_id
        self._class_name = class_name
        self._methods = methods
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
            raise AttributeError(f"'{self._class_name}' object has no attribute '{name}'")
        return ActorMethod(self, name, info)

    def __dir__(self) -> list[str]:
        return sorted(name for name in self._methods if not name.startswith("__"))

    def __repr__(self) -> str:
        return f"Actor({self._class_name}, {self._actor_id.hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and other._actor_id == self._actor_id

    def __hash__(self) -> int:
        return hash(self._actor_id)

    def _why(self) -> Why:
        """``handle.why()``: why it does not take calls, or what it does, in one sentence."""
        # Imported here: few programs ask.
        from raynb.runtime.client.inquiry import Inquiry

        oid, owner = (b"", "") if self._ref is None else (self._ref._id, self._ref._owner)
        return Inquiry(connect()).actor(self._actor_id, oid, owner)

    @property
    def _ray_actor_id(self) -> bytes:
        return self._actor_id

    def __reduce__(self) -> tuple[Any, ...]:
        methods = _methods_encoder.encode(self._methods)
        return _rebuild_handle, (self._actor_id, self._class_name, methods, self._ref, self._max_task_retries)


def _rebuild_handle(
    actor_id: bytes, class_name: str, methods: bytes, ref: ObjectRef[Any] | None, max_task_retries: int
) -> ActorHandle:
    return ActorHandle(actor_id, class_name, _methods_decoder.decode(methods), ref, max_task_retries)


SAFE_TYPES.add(ActorHandle)


def handle_from_reply(data: bytes) -> ActorHandle:
    """A handle to a named actor, from what the GCS knows of it. It does not keep the actor alive, as in Ray."""
    known = msgspec.msgpack.decode(data)
    return ActorHandle(
        known["actor_id"],
        known["class_name"],
        _methods_decoder.decode(known["methods"]),
        None,
        known.get("max_task_retries", 0),
    )


def unkept(handle: ActorHandle) -> ActorHandle:
    """Another handle to the same actor, which does not keep it alive."""
    return ActorHandle(handle._actor_id, handle._class_name, handle._methods, None, handle._max_task_retries)
