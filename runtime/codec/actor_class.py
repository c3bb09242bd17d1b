"""What kind of actor a class makes."""

from __future__ import annotations

import inspect


def is_async(cls: type) -> bool:
    """Whether an actor of this class serves its calls in an event loop: Ray's rule, any coroutine method makes it
    so."""
    return any(
        inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
        for _, member in inspect.getmembers(cls, inspect.isfunction)
    )
