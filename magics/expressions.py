"""Names in expressions, in the order in which Python evaluates them.

The walker holds the state of the point it stands at and notes what it meets on the way. Parts that
may be skipped (`and`, `or`, a conditional, the inside of a comprehension) add possibilities only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from raynb.magics.facts import Certainty, Command, MethodCall, Mutation, Read
from raynb.magics.scopes import NestedNames, Scope, nested_names
from raynb.magics.states import CELL, DELETED, NOTEBOOK, State, joined

# What IPython's transformation turns escapes into: `get_ipython().system(...)` and so on.
_ESCAPES = {"run_line_magic", "run_cell_magic", "system", "getoutput"}


class ExpressionWalker(ast.NodeVisitor):
    """Notes reads, bindings, changes and calls; `StatementWalker` adds the statements.

    Parameters
    ----------
    future_annotations
        The session postpones annotations, so that they read nothing.
    """

    def __init__(self, *, future_annotations: bool = False) -> None:
        self.state: State = {}
        self.reads: dict[str, Read] = {}
        self.assigned: dict[str, None] = {}
        self.bound: set[str] = set()
        self.mutations: list[Mutation] = []
        self.method_calls: list[MethodCall] = []
        self.commands: list[Command] = []
        self.modules: dict[str, set[str]] = {}
        self.star_import = False
        self.future_annotations = future_annotations
        self._shadowed: list[set[str]] = []
        self._later = 0
        self._guarded = 0
        self._targets_are_outputs = True
        self._discarded: ast.Call | None = None

    # What is noted about a name.

    def _possible(self, name: str) -> int:
        return self.state.get(name, NOTEBOOK) if self.state is not None else 0

    def _is_inner(self, name: str) -> bool:
        return any(name in names for names in self._shadowed)

    def read(self, name: str, line: int, certainty: Certainty = Certainty.SURE) -> None:
        if self._is_inner(name) or not self._possible(name) & NOTEBOOK:
            return
        if self._later:
            certainty = min(certainty, Certainty.LATER)
        elif certainty is Certainty.SURE and self._possible(name) != NOTEBOOK:
            certainty = Certainty.MAYBE
        if self._guarded or self.star_import:
            certainty = Certainty.MAYBE
        known = self.reads.get(name)
        if known is None or known.certainty < certainty:
            self.reads[name] = Read(name, line, certainty)

    def bind(self, name: str, *, output: bool = True) -> None:
        if self.state is None:
            return
        self.state[name] = CELL
        self.bound.add(name)
        if output:
            self.assigned.setdefault(name)

    def delete(self, name: str) -> None:
        if self.state is not None:
            self.state[name] = DELETED

    def mutate(self, target: ast.expr) -> None:
        """Note that the object at the root of `x.a[0]` is changed."""
        root = root_name(target)
        if root and not self._is_inner(root.id) and self._possible(root.id) & NOTEBOOK:
            self.mutations.append(Mutation(root.id, target.lineno))

    def nested(self, node: Scope) -> None:
        """Note what the body of a definition or a lambda takes from the cell."""
        names: NestedNames = nested_names(node, future_annotations=self.future_annotations)
        for certainty, found in (
            (Certainty.SURE, names.now),
            (Certainty.MAYBE, names.perhaps),
            (Certainty.LATER, names.reads),
        ):
            for name in sorted(found):
                self.read(name, line_of(name, node), certainty)
        for name in sorted(names.assigns):
            if self.state is not None:
                self.state[name] = self._possible(name) | CELL
                self.bound.add(name)
                self.assigned.setdefault(name)

    # Expressions.

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        match node.ctx:
            case ast.Load():
                if node.id == "get_ipython" and self._possible(node.id) & NOTEBOOK:
                    self.commands.append(Command(node.lineno, ""))
                else:
                    self.read(node.id, node.lineno)
            case ast.Store():
                self.bind(node.id, output=self._targets_are_outputs)
            case ast.Del():
                self.read(node.id, node.lineno)
                self.delete(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = dotted(node)
        if path:
            root, _, rest = path.partition(".")
            self.modules.setdefault(root, set()).add(rest)
        self._visit_part(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._visit_part(node, node.slice)

    def _visit_part(self, node: ast.Attribute | ast.Subscript, *inside: ast.expr) -> None:
        self.visit_all([node.value, *inside])
        if not isinstance(node.ctx, ast.Load):
            self.mutate(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.bind(node.target.id)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._visit_until_decided(node.values[:1], node.values[1:])

    def visit_Compare(self, node: ast.Compare) -> None:
        self._visit_until_decided([node.left, node.comparators[0]], node.comparators[1:])

    def _visit_until_decided(self, always: list[ast.expr], then: list[ast.expr]) -> None:
        self.visit_all(always)
        for operand in then:
            before = copied(self.state)
            self.visit(operand)
            self.state = joined(before, self.state)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        before = copied(self.state)
        self.visit(node.body)
        after_body, self.state = self.state, before
        self.visit(node.orelse)
        self.state = joined(after_body, self.state)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_all([*node.args.defaults, *node.args.kw_defaults])
        self.nested(node)

    def visit_Call(self, node: ast.Call) -> None:
        command = escape(node)
        if command is not None:
            self.commands.append(Command(node.lineno, command))
            return
        if isinstance(node.func, ast.Attribute):
            self._note_method_call(node, node.func)
        self.generic_visit(node)

    def _note_method_call(self, node: ast.Call, func: ast.Attribute) -> None:
        root = root_name(func)
        if root and not self._is_inner(root.id) and self._possible(root.id) & NOTEBOOK:
            call = MethodCall(root.id, func.attr, node.lineno, node is self._discarded)
            self.method_calls.append(call)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._visit_comprehension(node.generators, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._visit_comprehension(node.generators, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._visit_comprehension(node.generators, [node.key, node.value])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._visit_comprehension(node.generators, [node.elt], later=True)

    def _visit_comprehension(
        self, generators: list[ast.comprehension], elements: list[ast.expr], later: bool = False
    ) -> None:
        self.visit(generators[0].iter)  # alone in belonging to the scope around it
        before = copied(self.state)
        with self._inner_scope(set(_targets(generators))):
            self._later += later
            for position, generator in enumerate(generators):
                if position:
                    self.visit(generator.iter)
                self._visit_target_parts(generator.target)
                self.visit_all(generator.ifs)
            self.visit_all(elements)
            self._later -= later
        self.state = joined(before, self.state)

    def _visit_target_parts(self, target: ast.expr) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
                self.visit(node)

    @contextmanager
    def _inner_scope(self, names: set[str]) -> Iterator[None]:
        self._shadowed.append(names)
        try:
            yield
        finally:
            self._shadowed.pop()


def copied(state: State) -> State:
    """A state of its own for a path that parts from this one."""
    return None if state is None else dict(state)


def root_name(node: ast.expr) -> ast.Name | None:
    """`x` of `x.a[0].b`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def line_of(name: str, node: Scope) -> int:
    """The first line inside a definition or a lambda on which the name stands."""
    lines = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name]
    return min(lines, default=node.lineno)


def dotted(node: ast.expr) -> str:
    """`a.b.c` as it is written; empty for anything but names and dots."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def escape(node: ast.AST) -> str | None:
    """The method of `get_ipython()` that a magic or a shell escape became, else None."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr=method)) if (
            method in _ESCAPES
        ):
            return method
        case _:
            return None


def _targets(generators: list[ast.comprehension]) -> Iterator[str]:
    for generator in generators:
        for node in ast.walk(generator.target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
