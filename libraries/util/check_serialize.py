"""``inspect_serializability``: which part of a value can't be pickled, told before a task is submitted."""

from __future__ import annotations

from raynb.runtime.codec.serializability import FailureTuple, inspect_serializability

__all__ = ["FailureTuple", "inspect_serializability"]
