"""The modules of the user's own project: those that are edited while a notebook is open.

Rules
-----
1. A task runs a project's module as its file is when the worker first works for that run of a cell (or, in a script,
   for that driver): a worker that has an older one in memory imports it anew (`raynb.runtime.worker.modules`).
2. Where the driver itself loads a module again in the middle of a cell or a script (``importlib.reload``), tasks that
   are submitted from then on run the file as it is then. So no task is older than what the driver has.
3. A script that doesn't reload anything goes on with what its workers have, whatever becomes of the files.
4. An actor keeps the code that it was made with.
5. A notebook that has not loaded an edited module again has the old code, while its tasks run the new: it is told so
   with the first task of a cell, once for each edit (not under autoreload, which sees to it).

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
from importlib.machinery import ModuleSpec
from types import ModuleType

from raynb.runtime.codec.captures import warn

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


class OutdatedModuleWarning(UserWarning):
    """A module's file has changed since this process loaded it; its tasks run the file."""


Stamp = tuple[int, int, int]


def stamp_of(path: str) -> Stamp | None:
    """What tells a file from an older one of the same name; None for one that is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


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
        self._specs: dict[str, ModuleSpec | None] = {}
        """By name: what a module's last import was made with. A reload makes another."""
        self._stamps: dict[str, Stamp | None] = {}
        """By name: what the file was then, or when it was told that it has changed."""
        self._next = 0.0
        self._cell_is_new = False
        self.look()

    def cell_begins(self) -> None:
        """Look, at the next submission, whether what this process has loaded is what workers will load."""
        self._cell_is_new = True
        self._next = 0.0

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
                self._note(name, present)
                reloaded = True
        if reloaded:
            self._on_reload()
        if self._cell_is_new:
            self._cell_is_new = False
            self._warn_of_outdated()

    def _note(self, name: str, spec: ModuleSpec | None) -> None:
        self._specs[name] = spec
        self._stamps[name] = stamp_of(spec.origin) if spec is not None and spec.origin else None

    def _warn_of_outdated(self) -> None:
        autoreload = "IPython.extensions.autoreload" in sys.modules
        for name, spec in list(self._specs.items()):
            stamp = stamp_of(spec.origin) if spec is not None and spec.origin else None
            if stamp != self._stamps[name] and stamp is not None:
                self._stamps[name] = stamp
                if not autoreload:
                    warn(
                        f"{name.replace('.', os.sep)}.py has changed since the notebook imported it: tasks run it as "
                        f"it is now, while here the old code is in use. importlib.reload({name}) or %autoreload 2 "
                        "loads it here, too.",
                        OutdatedModuleWarning,
                    )

    def _scan(self) -> None:
        modules = list(sys.modules.items())
        self._known = len(modules)
        for name, module in modules:
            if name not in self._specs and isinstance(module, ModuleType):
                # Not by the attribute: that would load a module that loads itself when it is used.
                spec = object.__getattribute__(module, "__dict__").get("__spec__")
                if spec is not None and is_project_module(name, spec.origin):
                    self._note(name, spec)
