"""``raynb.experimental``: what Ray's programs import from ``ray.experimental``."""

from __future__ import annotations

from raynb.runtime.api.locations import get_object_locations

__all__ = ["get_object_locations"]
