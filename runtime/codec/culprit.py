"""Which part of a value can't be pickled: a bounded search, done only after pickling has failed.

A value whose pickle fails is searched part by part for one that fails, too, and so on down; the last that does is the
culprit, and the way to it is what the reader is told.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from raynb.runtime.codec.pickling import PROTOCOL, ByValuePickler

DEPTH_MAX = 24
PARTS_MAX = 2000
"""Of one value."""
TRIALS_MAX = 10_000
"""In one search."""
REPR_MAX = 40

ADVICE = ". Make it where it is used, or pass what it can be made from."

ROOTED = {
    "asyncio.events.AbstractEventLoop": "an event loop runs in one thread of one process",
    "concurrent.futures._base.Executor": "its threads or processes belong to this process",
    "concurrent.futures._base.Future": "it is fulfilled in this process",
    "multiprocessing.process.BaseProcess": "it is a child of this process",
    "queue.Queue": "it connects threads of one process",
    "subprocess.Popen": "it is a child of this process",
    "threading.Barrier": "it is shared by threads of one process",
    "threading.Condition": "it is shared by threads of one process",
    "threading.Event": "it is shared by threads of one process",
    "threading.Semaphore": "it is shared by threads of one process",
    "threading.Thread": "a thread lives in one process",
}
"""Classes whose objects can't travel as a whole, and why. The lock inside them that is to blame would tell nobody
anything."""


class _Nowhere:
    """A file that keeps nothing, so that trying to pickle a large part costs no memory."""

    @staticmethod
    def write(data: Any) -> int:
        return len(data)


def failure(value: object) -> Exception | None:
    """Why ``value`` can't be pickled, or None if it can."""
    try:
        ByValuePickler(_Nowhere(), PROTOCOL, buffer_callback=lambda buffer: None).dump(value)
    except Exception as error:
        return error
    return None


def find_culprit(value: object, name: str) -> str | None:
    """The path from ``name`` to the part of ``value`` that can't be pickled, and why it can't.

    Returns
    -------
    str or None
        As in ``"argument 0: dict key 'lock' -> _thread.lock cannot be pickled: cannot pickle '_thread.lock' object"``.
        None if all of it can be pickled.
    """
    error = failure(value)
    if error is None:
        return None
    path: list[str] = []
    seen = {id(value)}
    trials = TRIALS_MAX
    while len(path) < DEPTH_MAX and rooted(value) is None:
        for step, part in islice(parts(value), PARTS_MAX):
            if trials <= 0:
                break
            if id(part) in seen:
                continue
            trials -= 1
            cause = failure(part)
            if cause is not None:
                seen.add(id(part))
                path.append(step)
                value, error = part, cause
                break
        else:
            break
        if trials <= 0:
            break
    path.append(_verdict(value, error))
    return f"{name}: {' -> '.join(path)}"


def rooted(value: object) -> str | None:
    """Why an object of a class in `ROOTED` can't travel."""
    for kind in type(value).__mro__:
        if kind.__module__ in sys.modules and (why := ROOTED.get(f"{kind.__module__}.{kind.__qualname__}")):
            return why
    return None


def explain(value: object, name: str, error: Exception) -> str:
    """The message for a pickle that failed with ``error``: with the culprit if it can be found."""
    culprit = find_culprit(value, name)
    return f"{culprit or f'{name}: {_verdict(value, error)}'}{ADVICE}"


def explain_call(args: Iterable[object], kwargs: dict[str, object], error: Exception) -> str:
    """`explain` for the arguments of a call."""
    for index, value in enumerate(args):
        if culprit := find_culprit(value, f"argument {index}"):
            return culprit + ADVICE
    for key, value in kwargs.items():
        if culprit := find_culprit(value, f"argument {key!r}"):
            return culprit + ADVICE
    return f"the arguments cannot be pickled: {_text(error)}"


def describe(value: object) -> str:
    """A short name of a thing for people."""
    if isinstance(value, FunctionType):
        return f"function {value.__qualname__}"
    if isinstance(value, MethodType):
        return f"method {getattr(value, '__qualname__', value.__name__)}"
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    kind = type(value)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def parts(value: object) -> Iterator[tuple[str, Any]]:
    """What pickling ``value`` would pickle, each with how one gets there from it."""
    if isinstance(value, dict):
        for key, item in list(value.items()):
            yield f"dict key {_short(key)}", item
        for key in list(value):
            yield f"a key of the dict, {_short(key)}", key
        if type(value) is not dict:
            yield from _object_parts(value)
    elif isinstance(value, list | tuple | deque):
        for index, item in enumerate(list(value)):
            yield f"{type(value).__name__} item {index}", item
        if type(value) not in (list, tuple):
            yield from _object_parts(value)
    elif isinstance(value, set | frozenset):
        for item in list(value):
            yield f"{type(value).__name__} item {_short(item)}", item
        if type(value) not in (set, frozenset):
            yield from _object_parts(value)
    elif isinstance(value, FunctionType):
        yield from _function_parts(value)
    elif isinstance(value, MethodType):
        yield "the object it is bound to", value.__self__
        yield "its function", value.__func__
    elif isinstance(value, BuiltinMethodType) and not isinstance(value.__self__, ModuleType):
        yield "the object it is bound to", value.__self__
    elif isinstance(value, functools.partial):
        yield "its function", value.func
        for index, item in enumerate(value.args):
            yield f"its argument {index}", item
        for key, item in value.keywords.items():
            yield f"its argument {key!r}", item
    elif isinstance(value, type):
        for key, item in list(vars(value).items()):
            if key not in ("__dict__", "__weakref__"):
                yield f"attribute {key!r} of class {value.__qualname__}", _inner(item)
        for base in value.__bases__:
            yield f"base of class {value.__qualname__}", base
    elif isinstance(value, ModuleType):
        # One that can be imported goes by name; the attributes of another go along.
        for key, item in list(vars(value).items()):
            if not key.startswith("__"):
                yield f"attribute {key!r} of module {value.__name__}", item
    else:
        yield from _object_parts(value)


def _function_parts(function: FunctionType) -> Iterator[tuple[str, Any]]:
    name = function.__qualname__
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"closure variable {variable!r} of function {name}", cell.cell_contents
        except ValueError:
            continue
    for variable in sorted(global_names(function.__code__)):
        if variable in function.__globals__:
            yield f"global variable {variable!r} of function {name}", function.__globals__[variable]
    defaults = function.__defaults__ or ()
    code = function.__code__
    named = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    for key, item in zip(named, defaults, strict=False):
        yield f"default of {key!r} of function {name}", item
    for key, item in (function.__kwdefaults__ or {}).items():
        yield f"default of {key!r} of function {name}", item
    for key, item in function.__dict__.items():
        yield f"attribute {key!r} of function {name}", item
    for key, item in function.__annotations__.items():
        yield f"annotation of {key!r} of function {name}", item


def global_names(code: Any) -> set[str]:
    """The names a code object, and those inside it, may look up in its globals."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= global_names(constant)
    return names


def _refuses(value: object) -> bool:
    """Whether its class itself says that it is not to be pickled: then what it is made of is of no interest."""
    kind: Any = type(value)
    if kind.__reduce__ is object.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__:
        return False
    any_value: Any = value
    try:
        any_value.__reduce_ex__(PROTOCOL)
    except Exception:
        return True
    return False


def _object_parts(value: object) -> Iterator[tuple[str, Any]]:
    if _refuses(value):
        return
    name = type(value).__qualname__
    if isinstance(value, BaseException):
        for index, item in enumerate(value.args):
            yield f"argument {index} of {name}", item
    state = getattr(value, "__dict__", None)
    if isinstance(state, dict):
        for key, item in list(state.items()):
            yield f"attribute {key!r} of {name}", item
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else tuple(slots):
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield f"attribute {slot!r} of {name}", getattr(value, slot)
    yield from _reduced_parts(value, name)
    # A dynamic class travels with its objects.
    yield f"class of {name}", type(value)


def _reduced_parts(value: object, name: str) -> Iterator[tuple[str, Any]]:
    """What an object gives to the pickler, where that isn't its attributes."""
    any_value: Any = value
    try:
        reduced = any_value.__reduce_ex__(PROTOCOL)
    except Exception:
        return
    if not isinstance(reduced, tuple):
        return
    given: list[Any] = [*reduced, None, None, None, None]
    _, arguments, state, items, pairs = given[:5]
    for index, item in enumerate(arguments or ()):
        if not isinstance(item, type) and item is not value:
            yield f"part {index} of {name}", item
    yield f"state of {name}", state
    # What is made of iterators is read once: they are new ones.
    for index, item in enumerate(islice(items or (), PARTS_MAX)):
        yield f"item {index} of {name}", item
    if pairs is not None:
        for key, item in islice(pairs, PARTS_MAX):
            yield f"item {_short(key)} of {name}", item


def _inner(item: object) -> object:
    if isinstance(item, staticmethod | classmethod):
        return item.__func__
    if isinstance(item, property):
        return item.fget
    return item


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        text = describe(value)
    return text if len(text) <= REPR_MAX else text[: REPR_MAX - 3] + "..."


def _verdict(value: object, error: Exception) -> str:
    return f"{describe(value)} cannot be pickled: {rooted(value) or _text(error)}"


def _text(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
