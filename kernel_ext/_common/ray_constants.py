"""Numbers, under the names of ``ray._common.ray_constants``."""

from __future__ import annotations

from typing import Final

DEFAULT_MAX_CONCURRENCY_ASYNC: Final = 1000
