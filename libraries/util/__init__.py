"""``raynb.util``: what Ray's programs import from ``ray.util``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raynb.differences import refusal

if TYPE_CHECKING:
    from raynb.runtime.api.named_objects import list_named_objects
    from raynb.util import (
        actor_group,
        actor_pool,
        check_serialize,
        debug,
        joblib,
        metrics,
        multiprocessing,
        placement_group,
        queue,
        scheduling_strategies,
        state,
    )
    from raynb.util.actor_pool import ActorPool
    from raynb.util.annotations import PublicAPI
    from raynb.util.check_serialize import inspect_serializability
    from raynb.util.debug import disable_log_once_globally, enable_periodic_logging, log_once
    from raynb.util.executor import RayExecutor
    from raynb.util.helpers import as_completed, map_unordered
    from raynb.util.named_actors import list_named_actors
    from raynb.util.node_address import get_node_ip_address
    from raynb.util.placement_group import (
        get_current_placement_group,
        get_placement_group,
        placement_group_table,
        remove_placement_group,
    )
    from raynb.util.serialization import deregister_serializer, register_serializer

_HOMES = {
    "remove_placement_group": "raynb.util.placement_group",
    "placement_group_table": "raynb.util.placement_group",
    "get_placement_group": "raynb.util.placement_group",
    "get_current_placement_group": "raynb.util.placement_group",
    "ActorPool": "raynb.util.actor_pool",
    "PublicAPI": "raynb.util.annotations",
    "RayExecutor": "raynb.util.executor",
    "as_completed": "raynb.util.helpers",
    "disable_log_once_globally": "raynb.util.debug",
    "deregister_serializer": "raynb.util.serialization",
    "enable_periodic_logging": "raynb.util.debug",
    "get_node_ip_address": "raynb.util.node_address",
    "inspect_serializability": "raynb.util.check_serialize",
    "list_named_actors": "raynb.util.named_actors",
    "list_named_objects": "raynb.runtime.api.named_objects",
    "log_once": "raynb.util.debug",
    "map_unordered": "raynb.util.helpers",
    "register_serializer": "raynb.util.serialization",
}
_MODULES = (
    "accelerators",
    "actor_group",
    "actor_pool",
    "check_serialize",
    "debug",
    "iter",
    "iter_metrics",
    "joblib",
    "metrics",
    "multiprocessing",
    "placement_group",
    "queue",
    "scheduling_strategies",
    "state",
)

__all__ = [
    "ActorPool",
    "PublicAPI",
    "RayExecutor",
    "actor_group",
    "actor_pool",
    "as_completed",
    "check_serialize",
    "debug",
    "deregister_serializer",
    "disable_log_once_globally",
    "enable_periodic_logging",
    "get_current_placement_group",
    "get_node_ip_address",
    "get_placement_group",
    "inspect_serializability",
    "joblib",
    "list_named_actors",
    "list_named_objects",
    "log_once",
    "map_unordered",
    "metrics",
    "multiprocessing",
    "placement_group",
    "placement_group_table",
    "queue",
    "register_serializer",
    "remove_placement_group",
    "scheduling_strategies",
    "state",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"raynb.util.{name}")
    raise AttributeError(refusal(f"util.{name}") or f"module 'raynb.util' has no attribute {name!r}")
