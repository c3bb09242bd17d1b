"""Numbers, under the names of ``ray._common.ray_constants``."""

from __future__ import annotations

from typing import Final

from raynb.differences import absent_names

DEFAULT_MAX_CONCURRENCY_ASYNC: Final = 1000

__getattr__ = absent_names("_common.ray_constants")
