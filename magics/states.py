"""Where the value of a name may come from at one point of a cell.

A state maps names to the union of three possibilities; a name it doesn't hold still has what the
notebook has. None is the state of a point that is never reached (after a `raise`). Where paths meet,
the possibilities are united. Each statement treats a name alone and either replaces its possibilities
or adds to them, so that a loop needs no second pass: its body begins with all that it may add.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

NOTEBOOK, CELL, DELETED = 1, 2, 4

State = dict[str, int] | None


def joined(*states: State) -> State:
    """What holds where these paths meet."""
    reached = [state for state in states if state is not None]
    if not reached:
        return None
    if all(state == reached[0] for state in reached[1:]):
        return dict(reached[0])  # most paths bind nothing
    names = dict.fromkeys(name for state in reached for name in state)
    result = dict.fromkeys(names, 0)
    for state in reached:
        for name in names:
            result[name] |= state.get(name, NOTEBOOK)
    return result


def widened(state: State, nodes: Sequence[ast.AST]) -> State:
    """The state before a part of the cell, or anywhere inside it."""
    if state is None:
        return None
    result = dict(state)
    for name, effect in bindings(nodes):
        result[name] = result.get(name, NOTEBOOK) | effect
    return result


def bindings(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, int]]:
    """Names that these statements or expressions bind or delete at the cell's top level."""
    for node in nodes:
        yield from _bound_by(node)
        yield from bindings(_inside(node))


def _inside(node: ast.AST) -> Sequence[ast.AST]:
    """The parts of a node that belong to the same scope."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return ()
    if isinstance(node, ast.comprehension):
        return [node.iter, *node.ifs]  # its target is the comprehension's own
    return list(ast.iter_child_nodes(node))


def _bound_by(node: ast.AST) -> Iterator[tuple[str, int]]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name, CELL
        case ast.Name(id=name, ctx=ast.Del()):
            yield name, DELETED
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, CELL
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, CELL
        case ast.MatchMapping(rest=str(name)):
            yield name, CELL
        case ast.ExceptHandler(name=str(name)):
            yield name, CELL | DELETED
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield imported_name(alias), CELL
        case _:
            pass


def imported_name(alias: ast.alias) -> str:
    """The name that an import binds: the first part of `a.b.c`, or what follows `as`."""
    return alias.asname or alias.name.partition(".")[0]
