"""What goes along with a cell: values, modules by name, references as dependencies.

Everything taken by value goes into one pickle, so that two names of one object stay two names of one
object. Functions of the notebook would each get globals of their own there; `anchor` ties them, and the cell
itself, to one namespace, as in the notebook: a helper sees what the cell assigns.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from raynb.magics.errors import CaptureError
from raynb.magics.plan import ValueKind
from raynb.magics.references import kind_of
from raynb.runtime.codec.culprit import find_culprit
from raynb.runtime.codec.references import collect_references


@dataclass(frozen=True)
class Captured:
    """Inputs, sorted by how they travel.

    Attributes
    ----------
    values
        Taken along by value, by name.
    modules
        For a name, the modules to import; the first of them is what the name stands for.
    lengths
        Names that are dependencies, in the order of ``refs``; for each the number of its references, None
        for a single one whose value the name gets.
    """

    values: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: dict[str, int | None] = field(default_factory=dict)
    refs: list[Any] = field(default_factory=list)


def capture(names: Iterable[str], namespace: Mapping[str, Any], paths: Mapping[str, Iterable[str]]) -> Captured:
    """Sort the values of these names.

    Parameters
    ----------
    namespace
        The notebook's.
    paths
        The dotted paths that the cell follows from a name: submodules among them are imported too.
    """
    captured = Captured()
    wanted = dict.fromkeys(names)
    for name in [*wanted, *(n for n in _refs_behind(wanted, namespace) if n not in wanted)]:
        value = namespace[name]
        match kind_of(value):
            case ValueKind.REF:
                captured.lengths[name] = None
                captured.refs.append(value)
            case ValueKind.REFS:
                captured.lengths[name] = len(value)
                captured.refs.extend(value)
            case ValueKind.MODULE if _is_importable(value):
                captured.modules[name] = _modules(value, paths.get(name, ()))
            case _:
                captured.values[name] = value
    return captured


def _is_importable(module: types.ModuleType) -> bool:
    return sys.modules.get(module.__name__) is module and module.__name__ != "__main__"


def _modules(module: types.ModuleType, paths: Iterable[str]) -> tuple[str, ...]:
    """The module and those of its submodules that the cell reaches through it."""
    found = {module.__name__: None}
    for path in sorted(paths):
        dotted = module.__name__
        for part in path.split("."):
            dotted = f"{dotted}.{part}"
            if dotted not in sys.modules:
                break
            found[dotted] = None
    return tuple(found)


def _refs_behind(names: Iterable[str], namespace: Mapping[str, Any]) -> Iterator[str]:
    """Names of references that the notebook's functions among the inputs read as globals.

    In the notebook those functions would find values there, had the cells above run in place.
    """
    todo = [namespace[name] for name in names]
    seen: set[int] = set()
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for function in _functions(value):
            for name in sorted(_global_names(function.__code__)):
                if name not in namespace or function.__globals__.get(name) is not namespace[name]:
                    continue
                if kind_of(namespace[name]) in {ValueKind.REF, ValueKind.REFS}:
                    yield name
                else:
                    todo.append(namespace[name])


def _functions(value: object) -> Iterator[types.FunctionType]:
    if isinstance(value, types.FunctionType) and value.__module__ == "__main__":
        yield value
    elif isinstance(value, type) and value.__module__ == "__main__":
        yield from (f for f in vars(value).values() if isinstance(f, types.FunctionType))


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def anchor(namespace: dict[str, Any]) -> types.FunctionType:
    """A function whose globals are the notebook's; unpickled, those of all that came with it.

    A pickle gives all functions of one namespace one namespace again.
    """
    return types.FunctionType(_nothing.__code__, namespace, "anchor")


def _nothing() -> None: ...


def unpicklable(values: Mapping[str, Any], items: Iterable[Any] = ()) -> CaptureError | None:
    """The input that can't be sent, and the part of it that is to blame; None if all can be.

    Asked only after sending has failed: it pickles each input alone.
    """
    with collect_references():
        for name, value in values.items():
            found = find_culprit(value, f"`{name}`")
            if found:
                return CaptureError(f"an input can't be sent to a worker. {found}.\n{_MEND}")
        for position, item in enumerate(items):
            found = find_culprit(item, f"item {position} of --map")
            if found:
                return CaptureError(f"an item can't be sent to a worker. {found}.\n{_MEND}")
    return None


_MEND = "Make it inside the cell, or take along what it can be made from."
