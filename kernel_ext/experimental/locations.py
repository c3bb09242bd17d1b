"""``raynb.experimental.locations``: what Ray's programs import from ``ray.experimental.locations``."""

from __future__ import annotations

from raynb.runtime.api.locations import get_local_object_locations, get_object_locations

__all__ = ["get_local_object_locations", "get_object_locations"]
