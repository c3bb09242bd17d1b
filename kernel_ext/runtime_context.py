"""``raynb.runtime_context``: what Ray's programs import from ``ray.runtime_context``."""

from __future__ import annotations

from raynb.runtime.api.context import RuntimeContext, get_runtime_context

__all__ = ["RuntimeContext", "get_runtime_context"]
