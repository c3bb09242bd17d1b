"""``raynb._common.formatters``: how records of Python's logging are written, for programs that use it by themselves."""

from __future__ import annotations

from raynb.runtime.client.log_records import JSONFormatter, TextFormatter

__all__ = ["JSONFormatter", "TextFormatter"]
