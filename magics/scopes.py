"""What functions, lambdas and classes inside a cell read of the cell's own names.

Python's symbol table decides: it knows `global`, `nonlocal`, closures, comprehensions and class
bodies as the compiler does. Here a scope is cut out and stands alone, so that every name it
doesn't bind itself is global in its table, as it is in the cell.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.stmt


@dataclass(frozen=True)
class NestedNames:
    """Names of the surrounding cell that a nested scope uses.

    Attributes
    ----------
    reads
        Looked up when the scope runs, which may be later.
    now
        Looked up while the definition itself runs (the body of a class).
    perhaps
        Likewise, unless the class has assigned it before: `class A: x = x`.
    assigns
        Declared `global` and assigned.
    """

    reads: frozenset[str]
    now: frozenset[str]
    perhaps: frozenset[str]
    assigns: frozenset[str]


def nested_names(node: Scope, *, future_annotations: bool = False) -> NestedNames:
    """The cell's names that a definition or a lambda uses inside, its own header left out."""
    source = ast.unparse(node)
    if future_annotations:
        source = f"from __future__ import annotations\n{source}"
    tables = symtable.symtable(source, "<scope>", "exec").get_children()
    found: dict[str, set[str]] = {"reads": set(), "now": set(), "perhaps": set(), "assigns": set()}
    for table, outermost in _all(tables):
        at_once = outermost and table.get_type() == "class"
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if _is_implicit(name):
                continue
            if symbol.is_global() and symbol.is_referenced():
                found["now" if at_once else "reads"].add(name)
            elif at_once and symbol.is_referenced():
                found["perhaps"].add(name)
            if symbol.is_global() and symbol.is_assigned():
                found["assigns"].add(name)
    return NestedNames(**{kind: frozenset(names) for kind, names in found.items()})


def _all(tables: list[symtable.SymbolTable]) -> Iterator[tuple[symtable.SymbolTable, bool]]:
    """Each table and all below it; the flag marks the given ones."""
    for table in tables:
        yield table, True
        yield from ((inner, False) for inner, _ in _all(table.get_children()))


def _is_implicit(name: str) -> bool:
    """Whether the compiler itself made the name: `.0`, `.type_params`, `__class__`."""
    return name.startswith(".") or name in {"__class__", "__classdict__"}
