"""``remote``: the decorator that makes functions and classes remote."""

from __future__ import annotations

import inspect
from typing import Any

from raynb.runtime.api.actors import ActorClass
from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.api.options import warn_of_dynamic


def remote(*args: Any, **options: Any) -> Any:
    """Make a function a remote function, or a class an actor class.

    Used as ``@remote`` or with options, ``@remote(num_cpus=2)``.

    Raises
    ------
    TypeError
        The decorated thing is neither a function nor a class.
    AssertionError
        It is used in another way (as Ray has it).
    ValueError
        An option is unknown or makes no sense.
    """
    if len(args) == 1 and not options and callable(args[0]):
        return make_remote(args[0], {})
    if args or not options:
        raise AssertionError(
            "The @ray.remote decorator must be applied either with no arguments and no parentheses, for example "
            "'@ray.remote', or it must be applied using some of the arguments in the list, for example "
            "'@ray.remote(num_returns=2, resources={\"CustomResource\": 1})'."
        )
    return lambda thing: make_remote(thing, options)


def make_remote(thing: Any, options: dict[str, Any]) -> RemoteFunction | ActorClass:
    """A function or class, made remote."""
    if inspect.isclass(thing):
        return ActorClass(thing, options)
    if inspect.isfunction(thing) or inspect.isbuiltin(thing) or type(thing).__name__ == "cython_function_or_method":
        if inspect.iscoroutinefunction(thing):
            raise ValueError(
                "'async def' should not be used for remote tasks. You can wrap the async function with "
                "`asyncio.get_event_loop().run_until_complete(f())`, or use an async actor."
            )
        function = RemoteFunction(thing, options)
        warn_of_dynamic(options)
        return function
    raise TypeError("The @ray.remote decorator must be applied to either a function or a class.")
