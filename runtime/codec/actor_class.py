"""What kind of actor a class makes."""

from __future__ import annotations

import inspect
from typing import Any


def is_async(cls: type) -> bool:
    """Whether an actor of this class serves its calls in an event loop: Ray's rule, any coroutine method makes it
    so."""
    return any(
        inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
        for _, member in inspect.getmembers(cls, inspect.isfunction)
    )


def method_of(instance: object, name: str) -> Any:
    """A method of an actor, also where its instance has an attribute of that name."""
    if name in getattr(instance, "__dict__", ()):
        member = inspect.getattr_static(type(instance), name, None)
        if member is not None:
            return member.__get__(instance, type(instance))
    return getattr(instance, name)
