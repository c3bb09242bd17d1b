"""Times of parts of a program, under the names of ``ray._private.profiling``."""

from __future__ import annotations

import os

from raynb.differences import absent_names
from raynb.runtime.api.profiling import profile
from raynb.runtime.client.spans import VARIABLE

__all__ = ["PROFILING_ENABLED", "profile"]

PROFILING_ENABLED = VARIABLE in os.environ
"""Whether arguments, execution and results of each task are timed; `profile` always does what it says."""

__getattr__ = absent_names("_private.profiling")
