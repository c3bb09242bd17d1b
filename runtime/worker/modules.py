"""The project's modules in a worker: where a file has changed since it was imported, it is imported again.

All of the project's modules are dropped then, for others may hold what they took from the one that has changed. They
are imported again when they are needed, from their source: a cached pyc of the same second and size may be older.
"""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Sequence
from importlib.machinery import FileFinder, ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from raynb.runtime.client.project import Stamp, is_project_module, stamp_of


class ProjectModules:
    """A finder, in the place of Python's own for files, that notes which modules of the project are imported."""

    def __init__(self) -> None:
        self._imported: dict[str, tuple[str, Stamp]] = {}
        self._dropped: set[str] = set()

    def install(self) -> None:
        """Begin to note imports."""
        if self not in sys.meta_path:
            at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
            finder: Any = self
            sys.meta_path.insert(at, finder)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """What Python's finder gives."""
        spec: ModuleSpec | None = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or not is_project_module(name, spec.origin):
            return spec
        assert spec.origin is not None
        # Before it is read: if it changes in between, it is imported once more than needed.
        stamp = stamp_of(spec.origin)
        if stamp is not None:
            self._imported[name] = (spec.origin, stamp)
        if name in self._dropped:
            spec.loader = _FromSource(name, spec.origin)
        return spec

    def refresh(self) -> bool:
        """Drop the project's modules if one of their files has changed; true if they were."""
        for folder, finder in list(sys.path_importer_cache.items()):
            # A file that is new may not be known yet: folders' times are coarse.
            if isinstance(finder, FileFinder) and "site-packages" not in folder:
                finder.invalidate_caches()
        if all(stamp_of(origin) == stamp for origin, stamp in self._imported.values()):
            return False
        for name in self._imported:
            _drop(name)
        self._dropped.update(self._imported)
        self._imported.clear()
        importlib.invalidate_caches()
        linecache.checkcache()
        return True


def _drop(name: str) -> None:
    module = sys.modules.pop(name, None)
    parent, _, last = name.rpartition(".")
    package = sys.modules.get(parent)
    # `from package import module` looks there first.
    if package is not None and getattr(package, last, None) is module:
        delattr(package, last)


class _FromSource(SourceFileLoader):
    """Reads no pyc, and writes none."""

    def path_stats(self, path: str) -> Any:
        raise OSError("no cache is used")
