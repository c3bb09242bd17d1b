"""Numbers for what a process is, as Ray's programs compare them."""

from __future__ import annotations

from typing import Final

SCRIPT_MODE: Final = 0
WORKER_MODE: Final = 1
LOCAL_MODE: Final = 2
