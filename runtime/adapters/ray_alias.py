"""``import ray`` finds raynb: an import hook for programs that were written for Ray.

`sys.modules` has the very same module under both names, so that there is one of each class. The hook is the first one
that is asked, since any folder named ``ray`` on the import path would pass for a package; who installs it has made sure
that Ray is not there.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

VARIABLE: Final = "RAYNB_AS_RAY"
"""Set to 1, processes of a cluster that is started then find raynb as ``ray``, too."""


LEVELS: Final = {"ray": logging.INFO, "ray.rllib": logging.WARNING}
"""By logger."""


class RayAlias:
    """Finder and loader in one. (Not of `importlib.abc`, which takes long to load.)"""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "ray" and not fullname.startswith("ray."):
            return None
        return ModuleSpec(fullname, self)  # type: ignore[arg-type]  # it has a loader's methods

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        ours = "raynb" + name.removeprefix("ray")
        try:
            found = importlib.import_module(ours)
        except ModuleNotFoundError as error:
            if error.name != ours:
                raise
            raise ModuleNotFoundError(
                f"no module named {name!r}: raynb, which runs this program in Ray's place, has none of that name "
                "(docs/ray-compatibility.md lists what it has)",
                name=name,
            ) from None
        # The import system looks here again after this call.
        sys.modules[name] = found


def install() -> None:
    """Have this process find raynb as ``ray``. Idempotent.

    What such a program logs under names of Ray's counts from the level on that it counts from in Ray.
    """
    if any(isinstance(finder, RayAlias) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, RayAlias())
    for name, level in LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)


def install_if_asked() -> None:
    """`install`, where the environment says so."""
    if os.environ.get(VARIABLE) == "1":
        install()
