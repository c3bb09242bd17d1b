"""``raynb.job_config``: what Ray's programs import from ``ray.job_config``."""

from __future__ import annotations

from raynb.differences import REFUSED, absent_names
from raynb.runtime.api.job_config import JobConfig

__all__ = ["JobConfig"]

__getattr__ = absent_names("job_config", {"LoggingConfig": REFUSED["LoggingConfig"]})
