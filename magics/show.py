"""What a cell shows, made where its task runs: the last expression, `display()`, figures.

A shown value is a mime bundle, two dicts that travel as they are, so that the notebook needs neither the value
nor its library. Text that is printed takes another way, and comes at once.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Data and metadata by mime type, as of IPython's `display`."""

BACKEND = "module://raynb.magics.figures"
"""matplotlib's backend where tasks run."""


class _Collecting(threading.local):
    shown: list[Bundle] | None = None


_collecting = _Collecting()


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


def display(*objects: object, raw: bool = False, **options: Any) -> None:
    """What a task cell finds under the name `display`: IPython's, as far as a task can have it.

    With ``raw`` the objects are mime bundles already.
    """
    shown = _collecting.shown
    if shown is None:
        from IPython import display as here

        show: Any = here.display
        show(*objects, raw=raw, **options)
        return
    for value in objects:
        if raw and isinstance(value, dict):
            shown.append((value, options.get("metadata") or {}))
        else:
            shown.append(format_value(value))


def format_value(value: object) -> Bundle:
    """The mime bundle of a value."""
    data, metadata = _formatter().format(value)
    return data, metadata


@functools.cache
def _formatter() -> Any:
    # A worker that shows nothing never loads IPython.
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()
    png = formatter.formatters["image/png"]
    png.for_type_by_name("matplotlib.figure", "Figure", _figure_png)
    return formatter


def _figure_png(figure: Any) -> Any:
    from IPython.core import pylabtools

    tools: Any = pylabtools
    return tools.print_figure(figure, fmt="png", base64=True)


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
