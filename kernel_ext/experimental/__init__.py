"""``raynb.experimental``: what Ray's programs import from ``ray.experimental``."""

from __future__ import annotations

import importlib
from typing import Any

from raynb.differences import refusal
from raynb.experimental.dynamic_resources import set_resource
from raynb.runtime.api.locations import get_local_object_locations, get_object_locations

__all__ = ["get_local_object_locations", "get_object_locations", "set_resource"]


def __getattr__(name: str) -> Any:
    if name in ("dynamic_resources", "internal_kv", "locations", "state", "tqdm_ray"):
        return importlib.import_module(f"raynb.experimental.{name}")
    raise AttributeError(refusal(f"experimental.{name}") or f"module 'raynb.experimental' has no attribute {name!r}")
