"""Actors: what ``@remote`` makes of a class, and the handles to its instances."""

from __future__ import annotations

import inspect
from _thread import allocate_lock
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from raynb.runtime.api import local_mode
from raynb.runtime.api.functions import decorator_of, definition_site, packed_exceptions
from raynb.runtime.api.graphs import no_graphs
from raynb.runtime.api.handles import (
    ActorHandle,
    ActorMethod,
    ClassInfo,
    MethodInfo,
    encode_info,
    handle_from_reply,
    unkept,
)
from raynb.runtime.api.local_mode import LocalMode
from raynb.runtime.api.older_form import OlderForm
from raynb.runtime.api.options import ACTOR_OPTIONS, checked, resources_of
from raynb.runtime.api.published import publish_large_function
from raynb.runtime.api.returns import is_generator, number_of_returns
from raynb.runtime.api.runtime_env import resolved
from raynb.runtime.api.session import connect
from raynb.runtime.api.signatures import signature_of
from raynb.runtime.api.where import captured_by, in_group, says_where, where
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import EXECUTION
from raynb.runtime.client.failures import to_exception
from raynb.runtime.client.refs import ObjectRef, check_captured, ids_of
from raynb.runtime.codec.actor_class import is_async
from raynb.runtime.codec.calls import pack_call
from raynb.runtime.codec.functions import pack_function
from raynb.runtime.core.inbox import Answer
from raynb.runtime.core.task import Function, Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages import gcs
from raynb.runtime.messages.errors import ActorAlreadyExistsError
from raynb.runtime.messages.events import TASK_KINDS
from raynb.runtime.messages.ids import FIRST_RETURN, actor_id_of
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import FunctionDef

if TYPE_CHECKING:
    pass

ACTOR_CREATION = TASK_KINDS.index("ACTOR_CREATION_TASK")
__all__ = ["ActorClass", "ActorClassInheritanceException", "ActorHandle", "ActorMethod", "handle_from_reply", "unkept"]


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
            options.get("concurrency_group") or "",
            options.get("enable_task_events"),
            pack_function(decorator)[1] if (decorator := decorator_of(member)) is not None else b"",
        )
    for name in ("__ray_terminate__", "__ray_ready__", "__ray_call__"):
        found[name] = MethodInfo(None)
    return found


class ActorClassInheritanceException(TypeError):
    """A class was to be derived from an actor class."""


class ActorClass(OlderForm):
    """A class whose instances are actors. Made by ``@remote``; instantiate it with ``.remote(...)``."""

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self._take(cls, checked(options, ACTOR_OPTIONS, "actors"))
        if self._options.get("get_if_exists") and not self._options.get("name"):
            raise ValueError("The actor name must be specified to use `get_if_exists`.")
        assert self._info  # so that what makes no sense is refused here

    def _take(self, cls: type, options: dict[str, Any]) -> None:
        self._cls = cls
        self._options = options
        self._client: Client | None = None
        self._definition: FunctionDef
        self._held: list[object] = []
        self.__name__ = cls.__name__
        self.__qualname__ = cls.__qualname__
        self.__module__ = cls.__module__
        self.__doc__ = cls.__doc__

    @cached_property
    def _info(self) -> ClassInfo:
        """Found when it is first used: a class that names itself has no methods yet when it is unpickled."""
        cls, options = self._cls, self._options
        pending = options.get("max_pending_calls")
        at_once = is_async(cls) or (options.get("max_concurrency") or 1) > 1
        out_of_order = options.get("allow_out_of_order_execution")
        if at_once and out_of_order is False:
            raise ValueError(
                f"{cls.__name__} runs several calls at once (it is async, or has max_concurrency > 1): they have no "
                "order that could be kept. Leave allow_out_of_order_execution=False out."
            )
        return ClassInfo(
            methods_of(cls),
            pending or -1,
            not (at_once if out_of_order is None else out_of_order),
            list(options.get("concurrency_groups") or ()),
            options.get("enable_task_events", True),
            cls.__module__ or "",
        )

    @property
    def _methods(self) -> Mapping[str, MethodInfo]:
        return self._info.methods

    def __repr__(self) -> str:
        return f"ActorClass({self._cls.__name__})"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in self._methods if not name.startswith("__"))})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._cls.__name__
        raise TypeError(f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'.")

    def __getattr__(self, name: str) -> Any:
        # What the class itself has: constants, static and class methods.
        if name.startswith("__") or "_cls" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._cls, name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> NoReturn:
        raise ActorClassInheritanceException(
            f"Attempted to define a subclass of actor class '{self._cls.__name__}'. Inheriting from actor classes is "
            "not currently supported. You can instead inherit from a non-actor base class and make the derived class "
            "an actor class (with @ray.remote)."
        )

    @property
    def __ray_actor_class__(self) -> type:
        return self._cls

    @property
    def _default_options(self) -> dict[str, Any]:
        return dict(self._options)

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: raynb has no graphs of Ray's kind."""
        raise no_graphs(f"{self._cls.__name__}.bind")

    def __reduce__(self) -> tuple[Any, ...]:
        return _same_class, (self._cls, self._options)

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
        group = captured_by(EXECUTION.get())
        if group is not None and not says_where(self._options):
            return self.options(scheduling_strategy=in_group(group)).remote(*args, **kwargs)
        if local_mode.running is not None:
            return self._create_here(local_mode.running, client, args, kwargs)
        if client is not self._client:
            self._register(client)
        return self._create(client, args, kwargs)

    def _register(self, client: Client) -> None:
        held: list[object] = []
        class_id, blob = pack_function(self._cls, held)
        check_captured(held)
        publish_large_function(client, self._cls.__name__, len(blob))
        self._definition = FunctionDef(
            client.next_number(), class_id, self._cls.__name__, blob, module=self._cls.__module__ or ""
        )
        self._held = held
        self._client = client

    def _create(self, client: Client, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorHandle:
        options = self._options
        packed, dependencies = pack_call(args, kwargs, ObjectRef)
        execution = client.execution()
        task_id = client.next_task_id()
        actor_id = actor_id_of(task_id)
        context = execution.context
        name, lifetime = options.get("name") or "", options.get("lifetime")
        detached = context.detached if lifetime is None else lifetime == "detached"
        namespace = options.get("namespace") or context.namespace
        # Ray's rule: in a bundle without a CPU an actor that asks for none has to say so.
        place = where(options, resources_of(options, 0), 1 if options.get("num_cpus") is None else 0)
        resources = place.resources
        environment = resolved(options.get("runtime_env"), client)
        definition = msgspec.structs.replace(self._definition, captures=place.captures)
        creation = gcs.CreateActor(
            0,
            StartActor(
                actor_id,
                0,
                definition,
                packed.data,
                [bytes(buffer) for buffer in packed.buffers] if packed.buffers else None,
                None,
                execution.context,
                resources,
                "" if detached else client.address,
                name,
                options.get("max_concurrency") or 0,
                dict(options.get("concurrency_groups") or {}),
                runtime_env=environment,
                task_id=task_id,
                in_order=self._info.in_order,
                restarts=bool(options.get("max_restarts")),
                strategy=place.strategy,
            ),
            name,
            namespace,
            detached,
            options.get("max_restarts") or 0,
            options.get("max_task_retries") or 0,
            self._cls.__qualname__,
            encode_info(self._info),
            definition_site(self._cls),
            bool(options.get("get_if_exists")),
        )
        lock = allocate_lock()
        lock.acquire()
        answer = Answer(Waiter(1, lock.release)) if name else None
        task = Task(
            task_id,
            self._constructor(client, resources, environment),
            packed.data,
            execution.context,
            parent=execution.task_id,
            creation=creation,
            answer=answer,
        )
        if dependencies:
            task.deps = ids_of(dependencies, client)
        if packed.refs:
            task.refs = [info.oid for info in packed.refs]
        client.post(task)
        ref: ObjectRef[Any] = ObjectRef(task_id + FIRST_RETURN, client.address, client.drop)
        if answer is not None:
            existing = self._await_name(client, answer, lock, actor_id)
            if existing is not None:
                return existing
        keep = None if detached else ref
        return ActorHandle(actor_id, self._cls.__qualname__, self._info, keep, options.get("max_task_retries") or 0)

    def _create_here(
        self, here: LocalMode, client: Client, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ActorHandle:
        name = self._options.get("name") or ""
        key = (self._options.get("namespace") or client.execution().context.namespace, name)
        if name and key in here.names:
            if not self._options.get("get_if_exists"):
                raise ActorAlreadyExistsError(f"The name {name} (namespace={key[0]}) is already taken.")
            found: ActorHandle = here.names[key]
            return found
        actor_id = actor_id_of(client.next_task_id())
        here.create(actor_id, self._cls, args, kwargs, name)
        handle = ActorHandle(actor_id, self._cls.__qualname__, self._info, None)
        if name:
            here.names[key] = handle
        return handle

    def _await_name(self, client: Client, answer: Answer, lock: Any, actor_id: bytes) -> ActorHandle | None:
        """A name is taken or granted by the GCS: the caller learns it at once. The actor that has it, if one may."""
        reply = client.wait_for_answer(answer, lock)
        assert isinstance(reply, gcs.Reply)
        if reply.error is not None:
            raise to_exception(reply.error)
        existing = handle_from_reply(reply.data)
        return None if existing._id == actor_id else existing

    def _constructor(self, client: Client, resources: dict[str, float], environment: str) -> Function:
        """What creates actors of this class that hold this, as the event hub is told of it: once."""
        key = (
            self._definition.function_id,
            msgspec.json.encode(["constructor", sorted(resources.items()), environment]),
        )
        function = client.functions.get(key)
        if function is None:
            name = f"{self._cls.__name__}.__init__"
            function = client.functions[key] = Function(
                FunctionDef(client.next_number(), b"", name, b""),
                name,
                resources,
                runtime_env=environment,
                kind=ACTOR_CREATION,
                call_site=definition_site(self._cls),
                job=client.root.context.job,
                events=self._info.events,
            )
        return function


def _same_class(cls: type, options: dict[str, Any]) -> ActorClass:
    made = ActorClass.__new__(ActorClass)
    made._take(cls, options)
    return made
