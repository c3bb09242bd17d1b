"""What tests of programs for Ray import from ``ray._common``: helpers, not parts of raynb that it needs itself."""

from __future__ import annotations

import importlib
from typing import Any

from raynb.differences import refusal

_MODULES = ("constants", "filters", "formatters", "network_utils", "ray_constants", "test_utils", "utils")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"raynb._common.{name}")
    raise AttributeError(
        refusal(f"_common.{name}") or f"module 'raynb._common' has no attribute {name!r} (docs/ray-compatibility.md)"
    )
