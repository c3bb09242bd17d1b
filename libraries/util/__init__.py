"""``raynb.util``: what Ray's programs import from ``ray.util``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raynb.runtime.api.named_objects import list_named_objects
    from raynb.util import state
    from raynb.util.named_actors import list_named_actors

_HOMES = {
    "list_named_actors": "raynb.util.named_actors",
    "list_named_objects": "raynb.runtime.api.named_objects",
}
_MODULES = {"state": "raynb.util.state"}

__all__ = ["list_named_actors", "list_named_objects", "state"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'raynb.util' has no attribute {name!r}")
