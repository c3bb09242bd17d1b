"""``ObjectRef``: a counted reference to an object somewhere in the cluster."""

from __future__ import annotations

import os
import secrets
import sys
import time
import zlib
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from raynb.runtime.client.ids import JobID, TaskID
from raynb.runtime.codec.errors import UnknownOwnerError
from raynb.runtime.codec.references import note_reference
from raynb.runtime.codec.values import SAFE_TYPES
from raynb.runtime.core.inbox import Retain
from raynb.runtime.messages.errors import OufOfBandObjectRefSerializationException
from raynb.runtime.messages.ids import FIRST_RETURN, JOB_ID_BYTES, OBJECT_ID_BYTES, TASK_ID_BYTES

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    from raynb.runtime.client.client import Client
    from raynb.runtime.client.why import Why

T = TypeVar("T")

SEAT_PATIENCE_S = 1.0
OUT_OF_BAND = "RAY_allow_out_of_band_object_ref_serialization"
"""Ray's own name for the environment variable."""


class NotTheValue(TypeError):
    """A reference was used as if it were its value: a `TypeError` that a notebook can tell from others, and shows
    without the frames of this module. Under its own name nobody sees it, and it does not travel."""

    def __reduce__(self) -> tuple[Any, ...]:
        return TypeError, self.args


class NotTheValuesAttribute(AttributeError):
    """The same of an attribute."""

    def __reduce__(self) -> tuple[Any, ...]:
        return AttributeError, self.args


for _class in (NotTheValue, NotTheValuesAttribute):
    _class.__name__ = _class.__qualname__ = _class.__mro__[1].__name__
    _class.__module__ = "builtins"


class ObjectRef(Generic[T]):
    """A reference to a value that a task will return, or that was ``put``.

    The value lives as long as any reference to it does, in any process. ``await ref`` gives the value in a coroutine
    (or a notebook cell), ``ref.future()`` a `concurrent.futures.Future`.
    """

    __slots__ = ("__weakref__", "_drop", "_id", "_owner")

    def __init__(self, oid: bytes, owner: str | None = None, drop: Callable[[bytes], object] | None = None) -> None:
        self._id = oid
        if drop is None or owner is None:
            self._drop: Callable[[bytes], object] = uncounted
            owner, drop = _by_hand(oid)
        self._drop = drop
        self._owner = owner

    def __del__(self) -> None:
        # On any thread, under any lock, late in the interpreter's life: only an append to a queue.
        self._drop(self._id)

    def __eq__(self, other: object) -> bool:
        return type(other) is ObjectRef and other._id == self._id

    def __hash__(self) -> int:
        return hash(self._id)

    def __lt__(self, other: ObjectRef[Any]) -> bool:
        if type(other) is not ObjectRef:
            raise self._no_value("compared")
        return self._id < other._id

    def __copy__(self) -> ObjectRef[T]:
        return rebuild(self._id, self._owner)

    def __deepcopy__(self, memo: object) -> ObjectRef[T]:
        return rebuild(self._id, self._owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced(self)

    def _reduced(self, holder: object) -> tuple[Any, ...]:
        if _current is not None and self._drop is not _current.drop and self._drop is not uncounted:
            stale(self)
        if not note_reference(self._id, self._owner, holder):
            if holder is self and _counted_only():
                raise _out_of_band(self, "be pickled by hand")
            # Nobody counts the copy: as in Ray, the object is kept as long as this process lives.
            if self._id not in _kept_for_copies:
                _kept_for_copies[self._id] = rebuild(self._id, self._owner) if _current is not None else self
        return rebuild, (self._id, self._owner)

    def __repr__(self) -> str:
        return f"ObjectRef({self._id.hex()})"

    # -- what one would do with the value

    def _no_value(self, used: str) -> TypeError:
        return NotTheValue(f"a reference can't be {used}: {self._how_to_get()}")

    def _how_to_get(self) -> str:
        main = vars(sys.modules["__main__"])
        # IPython's own names for its outputs say less than the user's.
        names = sorted((name for name, value in main.items() if value is self), key=lambda name: name.startswith("_"))
        name = names[0] if names else "ref"
        is_one = f"`{name}` is a reference to a value, not the value" if names else "it stands for a value"
        return f"{is_one}; `await {name}` or `ray.get({name})` gives it"

    def __getattr__(self, name: str) -> Any:
        raise NotTheValuesAttribute(f"a reference has no attribute {name!r}: {self._how_to_get()}", name=name, obj=self)

    def __iter__(self) -> Any:
        raise self._no_value("iterated over")

    def __getitem__(self, key: object) -> Any:
        raise self._no_value("indexed")

    def __len__(self) -> int:
        raise self._no_value("measured with len()")

    def __bool__(self) -> bool:
        return True  # as for any object: programs ask whether they have a reference

    def __contains__(self, item: object) -> bool:
        raise self._no_value("searched with `in`")

    def __format__(self, spec: str) -> str:
        if spec:
            raise self._no_value(f"formatted as {spec!r}")
        return str(self)

    def __await__(self) -> Generator[Any, None, T]:
        return self.as_future().__await__()

    # -- Ray's methods

    def binary(self) -> bytes:
        """The id: 28 bytes."""
        return self._id

    def hex(self) -> str:
        """The id in hexadecimal."""
        return self._id.hex()

    def task_id(self) -> TaskID:
        """Id of the task that makes (or put) the object."""
        return TaskID(self._id[:TASK_ID_BYTES])

    def job_id(self) -> JobID:
        """Id of the job that it belongs to."""
        return JobID(self._id[TASK_ID_BYTES - JOB_ID_BYTES : TASK_ID_BYTES])

    def redis_shard_hash(self) -> int:
        """A number that is the same for the same object (Ray once chose a Redis by it)."""
        return zlib.crc32(self._id)

    def tensor_transport(self) -> None:
        """How an accelerator's tensors travel: raynb has no way of its own for them."""
        return None

    def is_nil(self) -> bool:
        return self._id == b"\xff" * OBJECT_ID_BYTES

    def owner_address(self) -> str:
        """Address of the process that owns the object."""
        return self._owner

    def call_site(self) -> str:
        """Where it was made, as far as that was recorded."""
        client = current()
        if self._id not in client.machine.objects.entries:
            # Its call may be still on its way to the machine.
            client.host.run(lambda: client.host.read_inbox(time.monotonic()), SEAT_PATIENCE_S)
        return client.call_site_of(self._id)

    def why(self) -> Why:
        """Why its value is not there: one sentence with the cause, and what to do. Doesn't wait for the value."""
        # Imported here: few programs ask.
        from raynb.runtime.client.inquiry import Inquiry

        return Inquiry(current()).object(self._id, self._owner)

    @staticmethod
    def size() -> int:
        """Bytes of an id."""
        return OBJECT_ID_BYTES

    @classmethod
    def nil(cls) -> ObjectRef[Any]:
        return cls(b"\xff" * OBJECT_ID_BYTES, "", uncounted)

    @classmethod
    def from_binary(cls, id_bytes: bytes) -> ObjectRef[Any]:
        """A reference by id, for this process's own objects."""
        return cls(id_bytes)

    @classmethod
    def from_hex(cls, hex_id: str) -> ObjectRef[Any]:
        return cls.from_binary(bytes.fromhex(hex_id))

    @classmethod
    def from_random(cls) -> ObjectRef[Any]:
        """A reference to nothing, with a new id."""
        owner = _current.address if _current is not None else ""
        return cls(secrets.token_bytes(TASK_ID_BYTES) + FIRST_RETURN, owner, uncounted)

    def future(self) -> concurrent.futures.Future[T]:
        """A future of the value, for callbacks and ``concurrent.futures.wait``."""
        return current().futures.of(self)

    def as_future(self, _internal: bool = False) -> asyncio.Future[T]:
        """A future of the value in the running event loop, or the one that is about to run."""
        return current().futures.in_loop(self)

    def _on_completed(self, py_callback: Callable[[Any], object]) -> None:
        """Have a function called, in a thread of ours, with the value, or with the exception in its place."""
        self.future().add_done_callback(lambda future: py_callback(future.exception() or future.result()))


class OfActor:
    """The reference that a handle takes along: it stands for the actor. Handles may be pickled by hand always."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ObjectRef[Any]) -> None:
        self._ref = ref

    def __reduce__(self) -> tuple[Any, ...]:
        return self._ref._reduced(self)


def check_captured(held: Iterable[object]) -> None:
    """What a function or a class takes along may be refused as what is pickled by hand: such programs do so on Ray,
    where nobody counts it. Here somebody does, so that it is allowed unless it is forbidden.

    Raises
    ------
    OufOfBandObjectRefSerializationException
    """
    if _counted_only():
        for ref in held:
            if isinstance(ref, ObjectRef):
                raise _out_of_band(ref, "be taken along by a function or a class")


def _counted_only() -> bool:
    return os.environ.get(OUT_OF_BAND, "1") == "0"


def _out_of_band(ref: ObjectRef[Any], done: str) -> OufOfBandObjectRefSerializationException:
    return OufOfBandObjectRefSerializationException(
        f"{ref!r} can't {done}, as {OUT_OF_BAND}=0 has it. Pass the reference to a task, return it, or put it: then "
        "the object is kept as long as it is needed."
    )


def uncounted(oid: bytes) -> None:
    """The end of a reference that counts nowhere."""


def _by_hand(oid: Any) -> tuple[str, Callable[[bytes], object]]:
    """Owner and end of a reference that a program makes of an id: it counts as one if the object is of this process.
    Without a cluster it is an id and no more.

    Raises
    ------
    TypeError, ValueError
        It is no id of an object.
    """
    if not isinstance(oid, bytes):
        raise TypeError(f"Unsupported type: {type(oid)}, expected bytes")
    if len(oid) != OBJECT_ID_BYTES:
        raise ValueError(f"ID string needs to have length {OBJECT_ID_BYTES}, got {len(oid)}")
    client = _current
    if client is None:
        return "", uncounted  # there is no object that it could be of
    client.post(Retain(oid, client.address))
    return client.address, client.drop


def _refusing(operator: str) -> Callable[..., Any]:
    def refuse(self: ObjectRef[Any], *others: object) -> Any:
        raise self._no_value(f"used with {operator}")

    return refuse


_OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>", "divmod": "divmod()",
}  # fmt: skip
_ALONE = {
    "neg": "-", "pos": "+", "abs": "abs()", "invert": "~", "int": "int()", "float": "float()",
    "round": "round()", "gt": ">", "ge": ">=", "le": "<=",
}  # fmt: skip
for _name, _operator in _OPERATORS.items():
    setattr(ObjectRef, f"__{_name}__", _refusing(_operator))
    setattr(ObjectRef, f"__r{_name}__", _refusing(_operator))
for _name, _operator in _ALONE.items():
    setattr(ObjectRef, f"__{_name}__", _refusing(_operator))

SAFE_TYPES.add(ObjectRef)

#: Ray's older name.
ObjectID = ObjectRef


def ids_of(references: Iterable[ObjectRef[Any]], client: Client) -> list[bytes]:
    """Their ids.

    Raises
    ------
    ValueError
        One is of an earlier connection: its object went with that cluster.
    """
    drop = client.drop
    return [ref._id if ref._drop is drop else stale(ref) for ref in references]


def stale(ref: ObjectRef[Any]) -> NoReturn:
    """Say that a reference is of no use any more."""
    raise UnknownOwnerError(
        # Ray says it in the plural where values are read, and in the singular elsewhere: programs look for either.
        f"You are trying to access Ray objects whose owner is unknown: {ref!r}, a Ray object whose owner is unknown in "
        "this cluster, which was joined by a later init(), is of an earlier connection. Make the object again."
    )


def rebuild(oid: bytes, owner: str) -> ObjectRef[Any]:
    """A further reference in this process (what unpickling calls)."""
    client = current()
    client.post(Retain(oid, owner))
    return ObjectRef(oid, owner, client.drop)


_current: Client | None = None

_kept_for_copies: dict[bytes, ObjectRef[Any]] = {}
"""References that were pickled by hand: nobody knows where their copies are."""


def current() -> Client:
    """The client of this process.

    Raises
    ------
    RuntimeError
        There is none: ``init()`` was not called, or this is a forked child.
    """
    if _current is None:
        raise RuntimeError("raynb is not connected to a cluster here: call init() first")
    return _current


def set_current(client: Client | None) -> None:
    """Make a client this process's; done by ``init`` and by workers."""
    global _current
    _kept_for_copies.clear()
    _current = client


def connected() -> bool:
    return _current is not None
