"""``raynb.types``: what Ray's programs import from ``ray.types``."""

from __future__ import annotations

from raynb.runtime.client.refs import ObjectRef

__all__ = ["ObjectRef"]
