"""``raynb.util``: what Ray's programs import from ``ray.util``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raynb.runtime.api.named_objects import list_named_objects
    from raynb.util import actor_group, joblib, multiprocessing, queue, state
    from raynb.util.actor_pool import ActorPool
    from raynb.util.executor import RayExecutor
    from raynb.util.helpers import as_completed, map_unordered
    from raynb.util.named_actors import list_named_actors

_HOMES = {
    "ActorPool": "raynb.util.actor_pool",
    "RayExecutor": "raynb.util.executor",
    "as_completed": "raynb.util.helpers",
    "list_named_actors": "raynb.util.named_actors",
    "list_named_objects": "raynb.runtime.api.named_objects",
    "map_unordered": "raynb.util.helpers",
}
_MODULES = {name: f"raynb.util.{name}" for name in ("actor_group", "joblib", "multiprocessing", "queue", "state")}

__all__ = [
    "ActorPool",
    "RayExecutor",
    "actor_group",
    "as_completed",
    "joblib",
    "list_named_actors",
    "list_named_objects",
    "map_unordered",
    "multiprocessing",
    "queue",
    "state",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'raynb.util' has no attribute {name!r}")
