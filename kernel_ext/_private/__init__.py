"""What tests of programs for Ray import from ``ray._private``: helpers, and views of what raynb has there.

Ray's own workings have no counterpart of the same name; what is not here is refused by name.
"""

from __future__ import annotations

import importlib
from typing import Any

from raynb.differences import refusal

_MODULES = (
    "async_compat",
    "client_mode_hook",
    "gcs_utils",
    "internal_api",
    "label_utils",
    "profiling",
    "ray_constants",
    "services",
    "state",
    "state_api_test_utils",
    "test_utils",
    "utils",
    "worker",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"raynb._private.{name}")
    raise AttributeError(
        refusal(f"_private.{name}") or f"module 'raynb._private' has no attribute {name!r} (docs/ray-compatibility.md)"
    )
