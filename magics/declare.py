"""A declaration cell: its functions become remote functions, its classes actor classes.

The cell runs in the notebook's own namespace, compiled under IPython's filename for it, with one more decorator, the
outermost, on each definition. So a definition is remote from its own line on, also for what follows
in the same cell.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from raynb.magics.arguments import RemoteOptions
from raynb.magics.errors import OptionError
from raynb.magics.facts import CellFacts
from raynb.magics.references import is_handle
from raynb.magics.source import CellSource
from raynb.magics.task import run_coroutine
from raynb.runtime.api.remote import make_remote

_DECORATOR = "__raynb_remote__"
_NOT_FOR_CLASSES = {
    "max_retries": "functions have it; actors have max_restarts",
    "name": "give it at .options(name=...)",
}


def declare(cell: CellSource, facts: CellFacts, options: RemoteOptions, namespace: dict[str, Any]) -> None:
    """Run the cell in the namespace and bind what it defines, remote, under its own names.

    Raises
    ------
    OptionError
        Options that no definition of the cell can have.
    Exception
        Whatever the cell raises; what it has defined until then stays defined.
    """
    defaults = options.remote_options()
    tree = cell.parse()
    definitions = [node for node in tree.body if isinstance(node, _DEFINITIONS)]
    _check_options(defaults, definitions)
    for node in definitions:
        first = node.decorator_list[0] if node.decorator_list else node
        name = ast.Name(_DECORATOR, ast.Load(), lineno=first.lineno, col_offset=node.col_offset)
        node.decorator_list.insert(0, ast.copy_location(name, first))
    code = cell.compile(tree)
    namespace[_DECORATOR] = _decorator(defaults)
    try:
        if code.co_flags & inspect.CO_COROUTINE:
            run_coroutine(eval(code, namespace))
        else:
            exec(code, namespace)
    finally:
        del namespace[_DECORATOR]


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _check_options(defaults: dict[str, Any], definitions: list[Any]) -> None:
    functions = [node for node in definitions if not isinstance(node, ast.ClassDef)]
    if functions or not definitions:
        return
    for option, why in _NOT_FOR_CLASSES.items():
        if option in defaults:
            raise OptionError(f"--{option.replace('_', '-')} is not for classes: {why}")


def _decorator(defaults: dict[str, Any]) -> Callable[[Any], Any]:
    def remote(value: Any) -> Any:
        if is_handle(value):
            if defaults:
                raise OptionError("this is remote by its own decorator: give the options in one place")
            return value
        if inspect.iscoroutinefunction(value):
            value = _run_to_its_end(value)
        options = defaults
        if isinstance(value, type):
            options = {key: value for key, value in defaults.items() if key not in _NOT_FOR_CLASSES}
        return make_remote(value, options)

    return remote


def _run_to_its_end(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """An `async def` as a task: an event loop of its own runs it where the task runs."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return run_coroutine(function(*args, **kwargs))

    return run
