"""What of a notebook holds an object: its variables and outputs, by name, as of now.

A reference holds its object, and so does an array that views the object's shared memory. Containers are looked into
one level deep.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import FunctionType
from typing import Any

from raynb.magics.history import History
from raynb.runtime.api.actors import ActorClass, ActorHandle
from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client.client import Client
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.values import Stored

ITEMS_MAX = 10_000
"""Of one container."""

COLUMNS_MAX = 1000
_SEQUENCES = (list, tuple, deque, set, frozenset)
_CONTAINERS = (dict, *_SEQUENCES)
_IPYTHONS = re.compile(r"_+|_i+|_i?\d+|_[ido]h|__\w+__|In|Out|exit|quit|get_ipython")


def users_names(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The notebook's variables, less IPython's own; its outputs as ``Out[7]``."""
    for name, value in list(namespace.items()):
        if not _IPYTHONS.fullmatch(name):
            yield name, value
    outputs = namespace.get("Out")
    if isinstance(outputs, dict):
        for number, value in list(outputs.items()):
            yield f"Out[{number}]", value


def with_items(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A variable, and what is in it if it is a container."""
    yield name, value
    if isinstance(value, dict):
        for key, item in list(value.items())[:ITEMS_MAX]:
            yield f"{name}[{key!r}]", item
    elif isinstance(value, _SEQUENCES):
        ordered = not isinstance(value, set | frozenset)
        for place, item in enumerate(list(value)[:ITEMS_MAX]):
            yield (f"{name}[{place}]" if ordered else name), item


class Holdings:
    """Tells which objects a value of the notebook holds, as of now."""

    def __init__(self, client: Client) -> None:
        self._places = _Places(client)

    def itself(self, value: Any) -> list[bytes]:
        """The objects that a value stands for: one for a reference or an array, none for a container."""
        return list(_objects_of(value, self._places))

    def of(self, value: Any) -> list[bytes]:
        """Also what is in it, if it is a container, or what goes with it, if it is a function."""
        return [oid for _, oid in self.named("", value)]

    def named(self, name: str, value: Any) -> Iterator[tuple[str, bytes]]:
        """The same, by name."""
        for full, item in with_items(name, value):
            for oid in _objects_of(item, self._places):
                yield full, oid
        for item in _enclosed(value):
            for oid in _objects_of(item, self._places):
                yield f"{name} (its closure)", oid


def held_by(
    namespace: Mapping[str, Any], client: Client, history: History | None = None, *, items_max: int = 1_000_000
) -> dict[bytes, list[str]]:
    """By object: the names that hold it, in the order of the namespace; of ``history`` only what has no other name.

    Looks at ``items_max`` values at most.
    """
    holdings = Holdings(client)
    found: dict[bytes, dict[str, None]] = {}
    left = items_max
    for name, value in users_names(namespace):
        left -= 1 + (len(value) if isinstance(value, _CONTAINERS) else 0)
        if left < 0:
            break
        for full, oid in holdings.named(name, value):
            found.setdefault(oid, {})[full] = None
    for name, value in history.held() if history is not None else ():
        for _, oid in holdings.named(name, value):
            if found.setdefault(oid, {name: None}).keys() <= {name}:
                found[oid][name] = None
    return {oid: list(names) for oid, names in found.items()}


def _enclosed(value: Any) -> Iterator[Any]:
    """What a function keeps for its calls: variables of the function around it, defaults, what was packed with it."""
    if isinstance(value, RemoteFunction | ActorClass):
        yield from value._held
        value = value._function if isinstance(value, RemoteFunction) else None
    if isinstance(value, FunctionType):
        yield from value.__defaults__ or ()
        for cell in value.__closure__ or ():
            with suppress(ValueError):  # not assigned yet
                yield cell.cell_contents


def stored_sizes(client: Client) -> dict[bytes, int]:
    """Bytes of the objects in shared memory that this process refers to."""
    entries = list(client.machine.objects.entries.items())
    return {oid: entry.value.size for oid, entry in entries if isinstance(entry.value, Stored)}


def _objects_of(value: Any, places: _Places) -> Iterator[bytes]:
    if isinstance(value, ObjectRef):
        yield value.binary()
    elif isinstance(value, ObjectRefGenerator):
        yield value.completed().binary()
    elif isinstance(value, ActorHandle):
        if value._ref is not None:
            yield value._ref.binary()
    else:
        for address in _addresses(value) if places else ():
            oid = places.at(address)
            if oid is not None:
                yield oid


class _Places:
    """Which object lies where in this process's view of the store."""

    def __init__(self, client: Client) -> None:
        self._places: list[tuple[int, int, bytes]] = []
        for oid, entry in list(client.machine.objects.entries.items()):
            stored = entry.value
            if isinstance(stored, Stored):
                start = client.plane.segments.start_of(stored.segment)
                if start is not None:
                    self._places.append((start + stored.offset, stored.size, oid))
        self._places.sort()

    def __bool__(self) -> bool:
        return bool(self._places)

    def at(self, address: int) -> bytes | None:
        """The object at an address."""
        at = bisect_right(self._places, (address, float("inf"), b"")) - 1
        if at < 0:
            return None
        start, size, oid = self._places[at]
        return oid if start <= address < start + size else None


def _addresses(value: Any) -> Iterator[int]:
    """Where the data of an array lies, of an Arrow table, or of a dataframe's columns."""
    package = type(value).__module__.partition(".")[0]
    try:
        if package == "numpy" and hasattr(value, "__array_interface__"):
            yield value.__array_interface__["data"][0]
        elif package == "pyarrow":
            chunks = getattr(value, "columns", None) or [value]
            for column in chunks[:COLUMNS_MAX]:
                for chunk in getattr(column, "chunks", [column]):
                    yield from (buffer.address for buffer in chunk.buffers() if buffer is not None)
        elif package == "pandas":
            columns = [value[name] for name in value.columns[:COLUMNS_MAX]] if hasattr(value, "columns") else [value]
            for column in columns:
                yield from _addresses(column.to_numpy(copy=False) if hasattr(column, "to_numpy") else None)
    except Exception:  # a library's object that is not what it looks like holds nothing that could be named
        return


def type_name(value: Any) -> str:
    """The type of what a name stands for; nothing for references, whose value has another."""
    return "" if isinstance(value, ObjectRef | ObjectRefGenerator | ActorHandle) else type(value).__name__
