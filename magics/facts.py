"""What a cell says about its names, whatever notebook it stands in."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Kind(enum.Enum):
    """What `%%remote` takes a cell for."""

    DECLARATION = "declaration"
    TASK = "task"
    MIXED = "mixed"


class Certainty(enum.IntEnum):
    """How sure it is that a read sees what the notebook has, and not what the cell assigned."""

    MAYBE = 0
    """The cell may have assigned it before, or it catches the NameError."""
    LATER = 1
    """In a function or a generator: whenever that runs."""
    SURE = 2
    """If this line runs, it reads the notebook's value."""


@dataclass(frozen=True)
class Read:
    """A name that the cell may read before it has given it a value."""

    name: str
    line: int
    certainty: Certainty


@dataclass(frozen=True)
class Mutation:
    """`x[k] = ...`, `x.a = ...`, `x += ...` or `del x[k]` on what the notebook may have."""

    name: str
    line: int


@dataclass(frozen=True)
class MethodCall:
    """`x.f()` on what the notebook may have.

    ``discarded`` says that nothing uses the value of the call: it is made for its effect.
    """

    name: str
    method: str
    line: int
    discarded: bool


@dataclass(frozen=True)
class Command:
    """A magic, a shell escape, or IPython itself, on a line of the cell."""

    line: int
    method: str


@dataclass(frozen=True)
class CellFacts:
    """The outcome of the analysis.

    Attributes
    ----------
    definitions, statements, expressions
        The `def` and `class` statements of the top level by line, the lines of the statements that
        make the cell a task, and those of these that are a mere expression.
    reads
        One entry a name, in the order of the cell.
    assigned
        Names given a value by more than an import or a loop, `with` or `except` target, in order.
    bound
        All names that get a value anywhere in the cell.
    unsure
        Those of ``assigned`` that may still have no value of the cell's at its end.
    deleted, may_be_deleted
        Those that surely have none any more, and those that may have none for a `del`.
    modules
        For a name, the dotted paths that follow it: ``xml`` -> ``{"dom.minidom.parse"}``.
    has_last, shows_last
        The cell ends in an expression; and no semicolon follows it.
    """

    kind: Kind
    definitions: dict[int, str] = field(default_factory=dict)
    statements: tuple[int, ...] = ()
    expressions: tuple[int, ...] = ()
    reads: tuple[Read, ...] = ()
    assigned: tuple[str, ...] = ()
    bound: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    may_be_deleted: frozenset[str] = frozenset()
    mutations: tuple[Mutation, ...] = ()
    method_calls: tuple[MethodCall, ...] = ()
    commands: tuple[Command, ...] = ()
    modules: dict[str, frozenset[str]] = field(default_factory=dict)
    star_import: bool = False
    has_last: bool = False
    shows_last: bool = False
