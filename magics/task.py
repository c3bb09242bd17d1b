"""A cell as a task: what is sent, and what runs where the task runs.

`run_cell` is the remote function of all task cells. It builds the namespace, runs the cell under its own
filename and returns its outputs, one by one, so that a failure of one stays its own.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import os
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType, TracebackType
from typing import Any

from raynb.magics.buffers import is_data, make_writable
from raynb.magics.source import CellSource
from raynb.runtime.worker.displays import collect_displays, display, format_value

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
    try:
        return _run_cell(cell, luggage, dependencies)
    except BaseException as error:
        # A bare `raise` adds no frame: what is left are the cell's own and those below.
        error.__traceback__ = from_the_cell_on(error.__traceback__, cell)
        raise


def _run_cell(cell: ShippedCell, luggage: Luggage, dependencies: tuple[Any, ...]) -> Any:
    namespace = build_namespace(cell, luggage, dependencies)
    with collect_displays() as shown:
        last = execute(cell, namespace)
        if cell.shows_last and last is not None:
            shown.append(format_value(last))
    values = outputs(cell, namespace, last)
    if all(map(is_data, values)):
        # Functions and their namespace hold one another, and with it inputs in shared memory, until a collection.
        namespace.clear()
    return (*values, shown) if values else shown


def build_namespace(cell: ShippedCell, luggage: Luggage, dependencies: tuple[Any, ...]) -> dict[str, Any]:
    """The names that the cell finds: its inputs under the names they have in the notebook."""
    function: Any = luggage.anchor
    namespace: dict[str, Any] = function.__globals__
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
    make_writable(namespace, cell.copied)
    return namespace


def execute(cell: ShippedCell, namespace: dict[str, Any]) -> Any:
    """Run the cell in the namespace and return the value of its last expression, if it takes one."""
    __tracebackhide__ = True
    cell.source.remember_lines()
    code = compiled(cell.source, cell.takes_last or cell.shows_last)
    try:
        with _silence() if cell.silent else contextlib.nullcontext():
            if code.co_flags & inspect.CO_COROUTINE:
                run_coroutine(eval(code, namespace))
            else:
                exec(code, namespace)
    except ValueError as error:
        if "read-only" in str(error):
            error.add_note("Inputs that are arrays lie in shared memory: change a copy, `x = x.copy()`.")
        raise
    return namespace.pop(LAST, None)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What is printed goes nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


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


def from_the_cell_on(traceback: TracebackType | None, cell: ShippedCell) -> TracebackType | None:
    """The traceback without the frames above the cell's own; all of it where the cell has none."""
    step = traceback
    while step is not None and step.tb_frame.f_code.co_filename != cell.source.filename:
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
