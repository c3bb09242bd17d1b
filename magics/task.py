"""A cell as a task: what is sent, and what runs where the task runs.

`run_cell` is the remote function of all task cells. It builds the namespace, runs the cell under its own
filename and returns its outputs, one by one, so that a failure of one stays its own.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import copy
import importlib
import inspect
import os
import threading
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from types import CodeType, FunctionType, TracebackType
from typing import Any

from raynb.magics.show import collect_displays, display, format_value
from raynb.magics.source import CellSource

LAST = "__last_expression__"
"""The name that the value of the cell's last expression has while the cell runs."""


@dataclass(frozen=True)
class Luggage:
    """What a cell takes along by value, in one pickle.

    Attributes
    ----------
    anchor
        See `raynb.magics.capture.anchor`: ties functions among the values to the cell's namespace.
    """

    anchor: FunctionType
    values: dict[str, Any]


@dataclass(frozen=True)
class ShippedCell:
    """A cell and how its inputs and outputs travel.

    Attributes
    ----------
    modules
        For a name, the modules to import; the first of them is what the name stands for.
    lengths
        Names whose values arrive as dependencies, in this order; for each the length of the list that it
        stands for, or None.
    copied
        Inputs that the cell changes in place.
    outputs
        Names whose values are returned, in this order.
    doubtful
        Those of them that the cell may leave without a value.
    takes_last
        The last statement is an expression whose value is returned after the outputs.
    shows_last
        It is shown.
    silent
        What the cell prints goes nowhere.
    """

    source: CellSource
    modules: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: dict[str, int | None] = field(default_factory=dict)
    copied: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()
    doubtful: frozenset[str] = frozenset()
    takes_last: bool = False
    shows_last: bool = False
    silent: bool = False

    @property
    def num_returns(self) -> int:
        """Outputs, perhaps the last expression, and what the cell shows."""
        return len(self.outputs) + self.takes_last + 1


@dataclass(frozen=True)
class NoValue:
    """What a cell returns in the place of an output that it didn't assign; `value_or_error` makes an error of it."""

    error: Exception


def value_or_error(value: Any) -> Any:
    """Run as a task after the cell: it gives the reference that the notebook holds the right kind of outcome."""
    __tracebackhide__ = True
    if isinstance(value, NoValue):
        raise value.error
    return value


def run_cell(cell: ShippedCell, luggage: Luggage, *dependencies: Any) -> Any:
    """Run the cell.

    Returns
    -------
    tuple
        The outputs' values, the last expression's if it is taken, and a list of what the cell showed; that list alone
        where there is nothing else.
    """
    __tracebackhide__ = True
    namespace = build_namespace(cell, luggage, dependencies)
    with contextlib.ExitStack() as stack:
        if cell.silent:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        shown = stack.enter_context(collect_displays())
        last = execute(cell, namespace)
        if cell.shows_last and last is not None:
            shown.append(format_value(last))
    values = outputs(cell, namespace, last)
    return (*values, shown) if values else shown


def build_namespace(cell: ShippedCell, luggage: Luggage, dependencies: tuple[Any, ...]) -> dict[str, Any]:
    """The names that the cell finds: its inputs under the names they have in the notebook."""
    namespace: dict[str, Any] = luggage.anchor.__globals__
    namespace.update({"__name__": "__main__", "__doc__": None})
    namespace.setdefault("display", display)
    namespace.update(luggage.values)
    for name, modules in cell.modules.items():
        namespace[name] = importlib.import_module(modules[0])
        for module in modules[1:]:
            importlib.import_module(module)
    rest = iter(dependencies)
    for name, length in cell.lengths.items():
        value = next(rest) if length is None else [next(rest) for _ in range(length)]
        namespace[name] = value
    _make_writable(namespace, cell.copied)
    return namespace


def _make_writable(namespace: dict[str, Any], names: Collection[str]) -> None:
    """Replace what lies in shared memory, and is read-only, by copies; all its names get the same."""
    memo: dict[int, Any] = {}
    for name in sorted(names):
        if _holds_buffers(namespace.get(name)):
            copy.deepcopy(namespace[name], memo)
    for name, value in namespace.items():
        if id(value) in memo:
            namespace[name] = memo[id(value)]


def _holds_buffers(value: Any) -> bool:
    """Whether there may be an array inside; everything else arrives as a copy of one's own."""
    if type(value) in _PLAIN:
        return False
    if type(value) is dict:
        return any(_holds_buffers(part) for part in value.values())
    if type(value) in {list, tuple, set, frozenset}:
        return any(_holds_buffers(part) for part in value)
    return True


_PLAIN = {bool, bytes, complex, float, int, str, type(None)}


def execute(cell: ShippedCell, namespace: dict[str, Any]) -> Any:
    """Run the cell in the namespace and return the value of its last expression, if it takes one."""
    __tracebackhide__ = True
    cell.source.remember_lines()
    code = compiled(cell.source, cell.takes_last or cell.shows_last)
    try:
        if code.co_flags & inspect.CO_COROUTINE:
            run_coroutine(eval(code, namespace))
        else:
            exec(code, namespace)
    except BaseException as error:
        if isinstance(error, ValueError) and "read-only" in str(error):
            error.add_note("Inputs that are arrays lie in shared memory: change a copy, `x = x.copy()`.")
        error.__traceback__ = _from_the_cell_on(error.__traceback__, code)
        raise
    return namespace.pop(LAST, None)


def compiled(source: CellSource, keeps_last: bool) -> CodeType:
    """The cell's code; with ``keeps_last`` it leaves the last expression's value under `LAST`."""
    tree = ast.parse(source.text, source.filename)
    if keeps_last:
        expression = tree.body[-1]
        assert isinstance(expression, ast.Expr)
        target = ast.copy_location(ast.Name(LAST, ast.Store()), expression)
        tree.body[-1] = ast.copy_location(ast.Assign([target], expression.value), expression)
    return source.compile(tree)


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The coroutine's result, also where an event loop already runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(coroutine))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="raynb-cell")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _from_the_cell_on(traceback: TracebackType | None, code: CodeType) -> TracebackType | None:
    """The traceback without the frames above the cell's own; all of it where the cell has none."""
    step = traceback
    while step is not None and step.tb_frame.f_code is not code:
        step = step.tb_next
    return step or traceback


def outputs(cell: ShippedCell, namespace: dict[str, Any], last: Any) -> list[Any]:
    """The outputs' values, or what stands for one that there isn't, and perhaps the last value."""
    values = [namespace[name] if name in namespace else _unassigned(name, cell) for name in cell.outputs]
    return [*values, last] if cell.takes_last else values


def _unassigned(name: str, cell: ShippedCell) -> NoValue:
    return NoValue(
        NameError(f"`{name}` has no value: {cell.source.label} took a path that doesn't assign it", name=name)
    )
