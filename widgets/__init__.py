"""Notebook widgets: views of a cluster and of what it does.

`progress` shows how far tasks are, `Cluster` what a cluster has and does; `TaskGraph`, `Timeline`, `Objects`, `inspect`
and `ActorPanel` are JupyterLab's panels inside a cell. In JupyterLab, Notebook 7, VS Code and Colab
they are live; what they show stays in the saved notebook as plain HTML and text.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raynb.widgets.cluster import Cluster
    from raynb.widgets.panels import ActorPanel, Objects, TaskGraph, Timeline, inspect
    from raynb.widgets.task_progress import progress

__all__ = ["ActorPanel", "Cluster", "Objects", "TaskGraph", "Timeline", "inspect", "progress"]

#: Imported when they are first used: a kernel that shows no widget loads none.
_HOMES = {
    "Cluster": "raynb.widgets.cluster",
    "progress": "raynb.widgets.task_progress",
    **dict.fromkeys(("ActorPanel", "Objects", "TaskGraph", "Timeline", "inspect"), "raynb.widgets.panels"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raynb.widgets' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
