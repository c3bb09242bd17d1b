"""What tasks show: formatted where they run, and sent to the cells that submitted them.

A shown value is a mime bundle, two dicts that travel as they are, so that the notebook needs neither the value nor its
library. IPython's `display` prints where there is no IPython shell; in a worker it is replaced as soon as anybody
imports it. A worker that shows nothing never loads IPython.

What a task cell shows is collected and becomes its report; what other tasks show goes out at once, in order with what
they print.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import secrets
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from raynb.runtime.client.execution import EXECUTION
from raynb.runtime.worker.output import OutputRouter

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Data and metadata by mime type, as of IPython's `display`."""

BACKEND = "module://raynb.runtime.worker.figures"
"""matplotlib's backend where tasks run."""

_IPYTHONS = "IPython.core.display_functions"


class _Collecting(threading.local):
    shown: list[Bundle] | None = None


_collecting = _Collecting()
_router: OutputRouter | None = None
"""Of this worker; None elsewhere."""


@contextmanager
def collect_displays() -> Iterator[list[Bundle]]:
    """Collect what this thread displays; figures that the block leaves open are displayed last."""
    _use_backend()
    outer = _collecting.shown
    open_before = _open_figures()
    shown: list[Bundle] = []
    _collecting.shown = shown
    try:
        yield shown
        show_figures(except_for=open_before)
    finally:
        _collecting.shown = outer
        _close_figures(except_for=open_before)


def display(
    *objects: object,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    metadata: dict[str, Any] | None = None,
    transient: dict[str, Any] | None = None,
    display_id: str | bool | None = None,
    raw: bool = False,
    clear: bool = False,
    update: bool = False,
    **options: Any,
) -> Any:
    """IPython's `display`, as far as a task can have it. What one task shows another can't clear.

    Returns
    -------
    DisplayHandle or None
        With a ``display_id``, as IPython's.
    """
    if _collecting.shown is None and (_router is None or _execution() is None):
        return _ipythons_display(
            *objects, include=include, exclude=exclude, metadata=metadata, transient=transient, display_id=display_id,
            raw=raw, clear=clear, **({"update": True} if update else {}), **options,
        )  # fmt: skip
    identity = secrets.token_hex(16) if display_id is True else display_id or None
    for value in objects:
        data, found = (value, {}) if raw and isinstance(value, dict) else format_value(value, include, exclude)
        _show((data, {**found, **(metadata or {})}), identity, update)
    if identity is None or update:
        return None
    from IPython.core.display_functions import DisplayHandle

    handle: Callable[[str], Any] = DisplayHandle
    return handle(identity)


def update_display(obj: object, *, display_id: str, **options: Any) -> None:
    """IPython's: show something in the place of what was shown under this id."""
    display(obj, display_id=display_id, update=True, **options)


def publish_display_data(data: dict[str, Any], metadata: dict[str, Any] | None = None, **options: Any) -> None:
    """IPython's: show a bundle that is made already."""
    options.pop("source", None)
    transient = options.pop("transient", None) or {}
    display(data, raw=True, metadata=metadata, display_id=transient.get("display_id"), **options)


def clear_output(wait: bool = False) -> None:
    """IPython's; does nothing, for a cell's output is that of all its tasks."""


def _show(bundle: Bundle, display_id: str | None, update: bool) -> None:
    if _collecting.shown is not None:
        _collecting.shown.append(bundle)
        return
    assert _router is not None
    execution = _execution()
    data, metadata = bundle
    transient = {"display_id": display_id} if display_id else {}
    text = str(data.get("text/plain", ""))
    content = {"data": data, "metadata": metadata, "transient": transient, "update": update}
    try:
        if _router.display(execution, content):
            return
        why = "too large to be sent"
    except (TypeError, ValueError) as error:  # not JSON
        why = str(error)
    _router.display(execution, {**content, "data": {"text/plain": f"{text[:1000]} ({why})"}, "metadata": {}})


def _execution() -> Any:
    return EXECUTION.get() or (_router.current if _router is not None else None)


def format_value(
    value: object, include: Collection[str] | None = None, exclude: Collection[str] | None = None
) -> Bundle:
    """The mime bundle of a value."""
    execution = _execution()
    formats = tuple(execution.context.figure_formats) if execution is not None else ()
    draws = "matplotlib.figure" in sys.modules  # else this is no figure, and asking for formats would import it
    data, metadata = _formatter(formats or ("png",) if draws else ()).format(value, include=include, exclude=exclude)
    return data, metadata


@functools.lru_cache(maxsize=8)
def _formatter(figure_formats: tuple[str, ...]) -> Any:
    from IPython.core import pylabtools
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()
    if figure_formats:
        tools: Any = pylabtools
        shell = SimpleNamespace(display_formatter=formatter)
        try:
            tools.select_figure_formats(shell, figure_formats)
        except ValueError:  # the notebook's IPython knows more formats than this one
            tools.select_figure_formats(shell, {"png"})
    return formatter


# pyplot keeps its figures open in the process; a task must neither lose its own nor show another's.


def _use_backend() -> None:
    """Let pyplot draw for the collection, whatever the kernel's environment asks for."""
    os.environ["MPLBACKEND"] = BACKEND
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None and hasattr(matplotlib, "use"):
        matplotlib.use(BACKEND)  # nothing if it is in use already


def _open_figures() -> list[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return list(pyplot.get_fignums()) if pyplot is not None else []


def show_figures(except_for: Collection[int] = ()) -> None:
    """Display pyplot's open figures and close them: what `plt.show()` means in a notebook."""
    for number in _open_figures():
        if number not in except_for:
            display(sys.modules["matplotlib.pyplot"].figure(number))
    _close_figures(except_for)


def _close_figures(except_for: Collection[int]) -> None:
    for number in _open_figures():
        if number not in except_for:
            sys.modules["matplotlib.pyplot"].close(number)


# Where IPython's own functions are replaced.


def _ipythons_display(*objects: object, **options: Any) -> Any:
    from IPython.core import display_functions

    module: Any = display_functions
    original = getattr(module, "_raynb_original_display", module.display)
    return original(*objects, **options)


def install(router: OutputRouter) -> None:
    """Make this worker's tasks show what they display in their cells."""
    global _router
    _router = router
    chosen = os.environ.get("MPLBACKEND", "")
    if not chosen or "inline" in chosen:  # the kernel's own, which needs a kernel
        os.environ["MPLBACKEND"] = BACKEND
    if _IPYTHONS in sys.modules:
        _replace(sys.modules[_IPYTHONS])
    else:
        sys.meta_path.insert(0, _Watcher())


def _replace(module: Any) -> None:
    module._raynb_original_display = module.display
    module.display = display
    module.update_display = update_display
    module.publish_display_data = publish_display_data
    module.clear_output = clear_output


class _Watcher(importlib.abc.MetaPathFinder):
    """Replaces IPython's functions at the moment when they are made, before anybody has imported them by name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _IPYTHONS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _replace(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
