"""The modules of the user's own project: those that are edited while a notebook is open.

Rules
-----
1. A task runs a project's module as its file is when the worker first works for that run of a cell (or, in a script,
   for that driver): a worker that has an older one in memory imports it anew (`raynb.runtime.worker.modules`).
2. Where the driver itself loads a module again in the middle of a cell or a script (``importlib.reload``), tasks that
   are submitted from then on run the file as it is then. So no task is older than what the driver has.
3. A script that doesn't reload anything goes on with what its workers have, whatever becomes of the files.
4. An actor keeps the code that it was made with.

The project is what can be imported from anywhere but the standard library and the folders that packages are installed
in.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

LOOK_EVERY_S = 0.0002
"""A look costs a few microseconds, and a submission ten: not at each of them."""

_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib"))


@lru_cache(maxsize=10_000)
def is_project_file(path: str) -> bool:
    """Whether a module with this file belongs to the user's project."""
    return (
        path.endswith(".py")
        and os.path.isabs(path)
        and not path.startswith(_STANDARD)
        and _INSTALLED.isdisjoint(path.split(os.sep))
    )


def is_project_module(name: str, path: str | None) -> bool:
    """Whether a module is the user's own; raynb itself never is, wherever it lies."""
    return path is not None and name.partition(".")[0] not in ("raynb", "__main__") and is_project_file(path)


class ProjectWatch:
    """Notices that the driver has loaded a module of the project again.

    Parameters
    ----------
    on_reload
        Called in the thread that looks.
    """

    def __init__(self, on_reload: Callable[[], None]) -> None:
        self._on_reload = on_reload
        self._known = 0
        """How many modules there were."""
        self._specs: dict[str, Any] = {}
        """By name: what a module's last import was made with. A reload makes another."""
        self._next = 0.0
        self.look()

    def look(self) -> None:
        """Look whether something was loaded again since the last look; to be called before a submission."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_EVERY_S
        modules = sys.modules
        if len(modules) != self._known:
            self._scan()
        reloaded = False
        for name, spec in self._specs.items():
            present = getattr(modules.get(name), "__spec__", spec)
            if present is not spec:
                self._specs[name] = present
                reloaded = True
        if reloaded:
            self._on_reload()

    def _scan(self) -> None:
        modules = list(sys.modules.items())
        self._known = len(modules)
        for name, module in modules:
            if name not in self._specs and isinstance(module, ModuleType):
                spec = module.__spec__
                if spec is not None and is_project_module(name, spec.origin):
                    self._specs[name] = spec
