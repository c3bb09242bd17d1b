"""``raynb.job_config``: what Ray's programs import from ``ray.job_config``."""

from __future__ import annotations

from raynb.runtime.api.job_config import JobConfig
from raynb.runtime.client.log_records import LoggingConfig

__all__ = ["JobConfig", "LoggingConfig"]
