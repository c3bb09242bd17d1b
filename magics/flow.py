"""Names in statements: what a cell reads before it has assigned it, on any path through it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from raynb.magics.expressions import ExpressionWalker, copied, dotted
from raynb.magics.states import State, imported_name, joined, widened

# Context managers that end a block early by their name: what the block assigns is not sure after it.
_SUPPRESSING = {"suppress", "raises", "assertRaises"}
_CATCHES_NAME_ERROR = {"NameError", "Exception", "BaseException"}


class StatementWalker(ExpressionWalker):
    """Walks the top level of a cell; `state` is that of its end when it is done."""

    def __init__(self, *, future_annotations: bool = False) -> None:
        super().__init__(future_annotations=future_annotations)
        self._breaks: list[list[State]] = []
        self._continues: list[list[State]] = []

    def block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if self.state is None:
                return  # never reached: nothing in it counts
            self.visit(statement)

    def _path(self, before: State, statements: Sequence[ast.stmt]) -> State:
        """The state after these statements, begun in another state than the present one."""
        self.state = copied(before)
        self.block(statements)
        return self.state

    # Bindings.

    def visit_Assign(self, node: ast.Assign) -> None:
        names_itself = isinstance(node.value, ast.Lambda)
        if not names_itself:
            self.visit(node.value)
        self.visit_all(node.targets)
        if names_itself:
            self.visit(node.value)  # `f = lambda: f()` reads the new f

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self.future_annotations:
            self.visit(node.annotation)
        if node.value is not None:
            self.visit_all([node.value, node.target])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(target, ast.Name):
            self.read(target.id, target.lineno)
            self.mutate(target)
        self.visit(node.value)
        self.visit(target)

    def visit_TypeAlias(self, node: ast.stmt) -> None:
        name = getattr(node, "name", None)
        if isinstance(name, ast.Name):
            self.bind(name.id)
        self.nested(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.bind(imported_name(alias), output=False)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.star_import = True
            elif node.module == "__future__":
                self.future_annotations |= alias.name == "annotations"
            else:
                self.bind(imported_name(alias), output=False)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.visit_all([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults])
        self._visit_annotations(node)
        self.bind(node.name)
        self.nested(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_function

    def _visit_annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if self.future_annotations or getattr(node, "type_params", None):
            return
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [extra for extra in (node.args.vararg, node.args.kwarg) if extra]
        self.visit_all([argument.annotation for argument in arguments])
        self.visit_all([node.returns])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_all(node.decorator_list)
        if not getattr(node, "type_params", None):
            self.visit_all([*node.bases, *(keyword.value for keyword in node.keywords)])
        self.nested(node)
        self.bind(node.name)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        self._discarded = value if isinstance(value, ast.Call) else None
        self.visit(node.value)
        self._discarded = None

    def _bind_targets(self, *targets: ast.expr | None) -> None:
        """Targets that are no outputs: those of loops and `with`."""
        self._targets_are_outputs = False
        self.visit_all(targets)
        self._targets_are_outputs = True

    # Branches.

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        before = self.state
        taken = truth(node.test)
        body = self._path(before, node.body) if taken is not False else None
        other = self._path(before, node.orelse) if taken is not True else None
        self.state = joined(body, other)

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        before = copied(self.state)
        self.visit_all([node.msg])
        self.state = before

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        ends: list[State] = []
        for case in node.cases:
            before = widened(self.state, [case.pattern])
            self.visit(case.pattern)
            self.visit_all([case.guard])
            ends.append(self._path(self.state, case.body))
            self.state = None if _matches_all(case) else before
        self.state = joined(*ends, self.state)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.visit_all([node.pattern])
        if node.name is not None:
            self.bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name is not None:
            self.bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.visit_all([*node.keys, *node.patterns])
        if node.rest is not None:
            self.bind(node.rest)

    # Loops.

    def _visit_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = widened(self.state, [node.target, *node.body])
        self.state = copied(before)
        self._bind_targets(node.target)
        end, breaks = self._loop_body(node.body)
        if surely_iterates(node.iter):
            before = None
        self.state = joined(self._path(joined(before, end), node.orelse), *breaks)

    visit_For = visit_AsyncFor = _visit_for

    def visit_While(self, node: ast.While) -> None:
        self.state = widened(self.state, [node.test, *node.body])
        self.visit(node.test)
        before = copied(self.state)
        endless = truth(node.test) is True
        end, breaks = self._loop_body(node.body)
        exhausted = None if endless else joined(before, end)
        self.state = joined(self._path(exhausted, node.orelse), *breaks)

    def _loop_body(self, body: Sequence[ast.stmt]) -> tuple[State, list[State]]:
        """The states in which one turn ends, united, and those of each `break`."""
        self._breaks.append([])
        self._continues.append([])
        self.block(body)
        end = joined(self.state, *self._continues.pop())
        return end, self._breaks.pop()

    def visit_Break(self, node: ast.Break) -> None:
        self._breaks[-1].append(self.state)
        self.state = None

    def visit_Continue(self, node: ast.Continue) -> None:
        self._continues[-1].append(self.state)
        self.state = None

    # Exceptions and contexts.

    def visit_Raise(self, node: ast.Raise) -> None:
        self.visit_all([node.exc, node.cause])
        self.state = None

    def _visit_try(self, node: ast.Try | ast.TryStar) -> None:
        inside = widened(self.state, node.body)
        guarded = any(_catches_name_error(handler) for handler in node.handlers)
        self._guarded += guarded
        self.block(node.body)
        self._guarded -= guarded
        ends = [self._path(self.state, node.orelse)]
        ends += [self._handler(inside, handler) for handler in node.handlers]
        out = joined(*ends)
        if not node.finalbody:
            self.state = out
            return
        anywhere = joined(inside, widened(inside, [*node.orelse, *node.handlers]))
        after = self._path(anywhere, node.finalbody)
        # Only what it does to the names it binds counts; the others are as the paths left them.
        final = {name for name in after or {} if (after or {})[name] != (anywhere or {}).get(name)}
        if after is None or out is None:
            self.state = None
        else:
            self.state = out | {name: after[name] for name in final}

    visit_Try = visit_TryStar = _visit_try

    def _handler(self, before: State, handler: ast.ExceptHandler) -> State:
        self.state = copied(before)
        self.visit_all([handler.type])
        if handler.name:
            self.bind(handler.name, output=False)
        self.block(handler.body)
        if handler.name:
            self.delete(handler.name)
        return self.state

    def _visit_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            self._bind_targets(item.optional_vars)
        suppresses = any(_suppresses(item.context_expr) for item in node.items)
        skipped = widened(self.state, node.body) if suppresses else None
        self._guarded += suppresses
        self.block(node.body)
        self._guarded -= suppresses
        self.state = joined(skipped, self.state)

    visit_With = visit_AsyncWith = _visit_with


def truth(test: ast.expr) -> bool | None:
    """What a test surely is: `while True`, `if 0`. None where that shows at run time only."""
    return bool(test.value) if isinstance(test, ast.Constant) else None


def surely_iterates(iterable: ast.expr) -> bool:
    """Whether a loop over this surely has a turn: `range(10)`, `[1, 2]`, `"abc"`."""
    match iterable:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return any(not isinstance(element, ast.Starred) for element in elements)
        case ast.Constant(value=str() | bytes() as text):
            return bool(text)
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(stop))]):
            return stop > 0
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
            return surely_iterates(inner)
        case _:
            return False


def _matches_all(case: ast.match_case) -> bool:
    """`case _:` and `case x:`."""
    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None


def _catches_name_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(node).rpartition(".")[2] in _CATCHES_NAME_ERROR for node in caught)


def _suppresses(context: ast.expr) -> bool:
    return isinstance(context, ast.Call) and dotted(context.func).rpartition(".")[2] in _SUPPRESSING
