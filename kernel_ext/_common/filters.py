"""``raynb._common.filters``: records of Python's logging get the ids of what writes them."""

from __future__ import annotations

import logging
import time
from typing import Any

from raynb.runtime.client.log_records import TIMESTAMP, ids_of_caller


class CoreContextFilter(logging.Filter):
    """Lets every record through, with the ids of job, worker and node, and of the task and the actor that runs."""

    @classmethod
    def get_ray_core_logging_context(cls) -> dict[str, Any]:
        """These ids, in hex, and names; nothing without a cluster."""
        return dict(ids_of_caller())

    def filter(self, record: logging.LogRecord) -> bool:
        """Set them on a record, and when it was made, in nanoseconds."""
        vars(record).setdefault(TIMESTAMP, time.time_ns())
        for name, value in ids_of_caller().items():
            if value:
                setattr(record, name, value)
        return True
