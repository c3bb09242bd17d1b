"""``raynb.internal``: giving objects up by hand."""

from __future__ import annotations

from raynb._private.internal_api import free

__all__ = ["free"]
