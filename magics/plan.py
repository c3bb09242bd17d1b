"""From what a cell says and what the notebook has: what goes in, what comes out, what to warn of."""

from __future__ import annotations

import builtins
import difflib
import enum
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from raynb.magics.errors import UndefinedNameError
from raynb.magics.facts import CellFacts, Certainty, MethodCall
from raynb.magics.source import CellSource

# The namespace of every cell has these of its own, here and where a task runs.
GIVEN = frozenset(
    {
        *("__annotations__", "__builtin__", "__builtins__", "__debug__", "__doc__", "__loader__", "__name__"),
        *("__package__", "__spec__"),
    }
)
# IPython gives Python the first, and takes the others from it while a cell runs; a task has all of them.
_BUILTINS = frozenset(dir(builtins)) | {"display", "exit", "quit"}

# Methods that change what they are called on. For values of known types, and for one that isn't known
# yet, the others are taken to be harmless.
MUTATORS = frozenset(
    {
        # list, dict, set, deque, bytearray
        *("add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "move_to_end", "pop"),
        *("popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort", "subtract", "update"),
        *("difference_update", "intersection_update", "symmetric_difference_update"),
        # arrays and tables
        *("byteswap", "fill", "itemset", "partition", "put", "resize", "setfield", "setflags"),
        # models, files, generators
        *("fit", "fit_transform", "partial_fit", "read", "readline", "seed", "send", "shuffle", "step", "train"),
        *("write", "writelines"),
    }
)


class ValueKind(enum.Enum):
    """How much is known of a value without looking into it."""

    REF = "a reference to an object"
    REFS = "the references that a mapped cell gave"
    MODULE = "a module"
    HANDLE = "a remote function, an actor class or an actor"
    DEFINITION = "a function or a class"
    FROZEN = "a value that can't change"
    CONTAINER = "a container, array or table"
    OBJECT = "anything else"


# Assigning to their parts is a setting of the process, not a new value for the notebook.
_NEVER_OUTPUT_BY_CHANGE = {ValueKind.MODULE, ValueKind.HANDLE, ValueKind.DEFINITION}
_METHODS_ARE_HARMLESS = _NEVER_OUTPUT_BY_CHANGE | {ValueKind.FROZEN}


@dataclass(frozen=True)
class Notice:
    """A warning about a line of the cell."""

    line: int
    message: str


@dataclass(frozen=True)
class Plan:
    """What a task cell takes and gives.

    Attributes
    ----------
    inputs
        Names read, in the order of the cell.
    kept
        Outputs that a path through the cell leaves alone: their old value goes along to be kept.
    outputs
        Names that become references.
    doubtful
        Outputs that may come to nothing: a path leaves them alone or deletes them, and they had no old value.
    copied
        Inputs that the cell changes in place: it gets copies that can be written to.
    """

    inputs: tuple[str, ...]
    kept: tuple[str, ...]
    outputs: tuple[str, ...]
    doubtful: frozenset[str]
    copied: frozenset[str]
    notices: tuple[Notice, ...]


def plan(
    facts: CellFacts,
    cell: CellSource,
    namespace: Mapping[str, object],
    kind_of: Callable[[object], ValueKind],
    *,
    inputs: Collection[str] | None = None,
    outputs: Collection[str] | None = None,
    mapped: str | None = None,
) -> Plan:
    """Inputs and outputs of a cell in a notebook with this namespace.

    Parameters
    ----------
    inputs, outputs
        What the person gave instead of what the analysis finds.
    mapped
        The name that each run of the cell gets an item for.

    Raises
    ------
    UndefinedNameError
        Names the line and, where there is one, a similar name.
    """
    if inputs is None:
        _check_defined(facts, cell, namespace, mapped)
        found = [read.name for read in facts.reads if read.name in namespace]
    else:
        _check_given(inputs, cell, namespace)
        found = list(inputs)
    taken = tuple(name for name in found if name not in GIVEN and name != mapped)
    changed = [m.name for m in facts.mutations if m.name in taken or m.name == mapped]
    if outputs is None:
        given = tuple(_outputs(facts, changed, namespace, kind_of, mapped))
    else:
        given = tuple(dict.fromkeys(outputs))
    sure = set(facts.assigned) - facts.unsure
    keep = [name for name in given if name in namespace and name not in {*taken, *sure, mapped}]
    keep = keep if inputs is None else []
    return Plan(
        inputs=taken,
        kept=tuple(keep),
        outputs=given,
        doubtful=frozenset(given) - {*sure, *taken, *keep, mapped} | (facts.may_be_deleted & set(given)),
        copied=frozenset(changed) | ({*taken, *keep} & set(outputs or ())),
        notices=tuple(_notices(facts, taken, given, namespace, kind_of)),
    )


def _outputs(
    facts: CellFacts,
    changed: list[str],
    namespace: Mapping[str, object],
    kind_of: Callable[[object], ValueKind],
    mapped: str | None,
) -> Iterator[str]:
    for name in facts.assigned:
        if name not in facts.deleted and not name.startswith("_"):
            yield name
    for name in dict.fromkeys(changed):
        if name in facts.assigned or name.startswith("_") or name in facts.deleted:
            continue
        if name == mapped or kind_of(namespace[name]) not in _NEVER_OUTPUT_BY_CHANGE:
            yield name


def _check_defined(facts: CellFacts, cell: CellSource, namespace: Mapping[str, object], mapped: str | None) -> None:
    undefined = [
        read
        for read in facts.reads
        if read.name not in namespace
        and read.name not in _BUILTINS
        and read.name not in GIVEN
        and read.name != mapped
        and (
            read.certainty is Certainty.SURE
            or (read.certainty is Certainty.LATER and read.name not in facts.bound and not facts.star_import)
        )
    ]
    if not undefined:
        return
    first = min(undefined, key=lambda read: read.line)
    if first.name in facts.bound:
        message = f"`{first.name}` is read before the cell gives it a value"
        message += ", and the notebook has none."
    else:
        message = f"`{first.name}` is defined neither in this cell nor in the notebook."
    message += _similar(first.name, {*namespace, *facts.bound})
    others = [f"`{read.name}` (line {read.line})" for read in undefined if read is not first]
    if others:
        message += f"\nNor {'is' if len(others) == 1 else 'are'} {', '.join(others)}."
    raise UndefinedNameError(message, line=first.line, cell=cell)


def _check_given(inputs: Collection[str], cell: CellSource, namespace: Mapping[str, object]) -> None:
    for name in inputs:
        if name not in namespace:
            message = f"--inputs names `{name}`, which the notebook doesn't have."
            raise UndefinedNameError(message + _similar(name, set(namespace)), cell=cell)


def _similar(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, [n for n in known if not n.startswith("_")], n=1)
    return f" Did you mean `{close[0]}`?" if close and close[0] != name else ""


def _notices(
    facts: CellFacts,
    inputs: Collection[str],
    outputs: Collection[str],
    namespace: Mapping[str, object],
    kind_of: Callable[[object], ValueKind],
) -> Iterator[Notice]:
    """A warning for each input that the cell may change without giving it back; one a name."""
    told: set[str] = set(outputs)
    for mutation in facts.mutations:
        if mutation.name in inputs and mutation.name not in told:
            told.add(mutation.name)
            yield Notice(mutation.line, _lost(f"`{mutation.name}` is changed", mutation.name))
    for call in facts.method_calls:
        if call.name not in inputs or call.name in told:
            continue
        if _may_change(call, kind_of(namespace[call.name])):
            told.add(call.name)
            what = f"`{call.name}.{call.method}()` is called on an input"
            yield Notice(call.line, _lost(what, call.name))


def _lost(what: str, name: str) -> str:
    return (
        f"{what}: a change to `{name}` stays in the task and is lost."
        f" Assign to it (`{name} = ...`) or give --outputs {name}, and the notebook gets it back."
    )


def _may_change(call: MethodCall, kind: ValueKind) -> bool:
    if kind in _METHODS_ARE_HARMLESS:
        return False
    if kind is ValueKind.OBJECT:
        return True
    return call.discarded or call.method in MUTATORS
