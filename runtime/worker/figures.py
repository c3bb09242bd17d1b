"""A backend for matplotlib where tasks run: it draws without a screen and shows into the cell.

matplotlib loads it by name, `module://raynb.runtime.worker.figures`, and looks for these three.
"""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import FigureManagerBase as FigureManager
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas

from raynb.runtime.worker.displays import show_figures

__all__ = ["FigureCanvas", "FigureManager", "show"]


def show(*args: Any, **kwargs: Any) -> None:
    """`plt.show()`: the open figures, at this point of the cell's output."""
    show_figures()
