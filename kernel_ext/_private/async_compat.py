"""What is async, under the names of ``ray._private.async_compat``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

__all__ = ["get_new_event_loop", "has_async_methods", "is_async_func", "sync_to_async"]


def get_new_event_loop() -> asyncio.AbstractEventLoop:
    """One that nobody uses."""
    return asyncio.new_event_loop()


def is_async_func(func: Any) -> bool:
    """Whether calling it gives a coroutine or an asynchronous generator."""
    return inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)


def has_async_methods(cls: type) -> bool:
    """Whether an actor of this class would be asynchronous."""
    return any(is_async_func(member) for _, member in inspect.getmembers(cls, inspect.isroutine))


@lru_cache(maxsize=1024)
def sync_to_async(func: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function that calls this one."""
    if is_async_func(func):
        return func

    @wraps(func)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return call
