"""How many references a call gives."""

from __future__ import annotations

import inspect
from typing import Any

from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.task import DYNAMIC, STREAMING


def is_generator(function: Any) -> bool:
    """Whether calling it gives an iterator, synchronous or not."""
    target = inspect.unwrap(function)
    return inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)


def number_of_returns(given: int | str | None, generator: bool) -> int:
    """What ``num_returns`` means for a function.

    Returns
    -------
    int
        From 0 on; or `STREAMING`, which is the default of generators; or `DYNAMIC`.

    Raises
    ------
    ValueError
        It is for generators, and this is none.
    """
    if given is None:
        return STREAMING if generator else 1
    if not isinstance(given, str):
        return given
    if not generator:
        raise ValueError(
            f"num_returns={given!r} can only be used with generator functions (functions that use 'yield'). "
            "The decorated function is not a generator function."
        )
    return STREAMING if given == "streaming" else DYNAMIC


def returned(refs: list[ObjectRef[Any]], num_returns: int) -> Any:
    """What ``.remote()`` gives for the references of a call."""
    if num_returns == 1 or num_returns == DYNAMIC:
        return refs[0]
    if num_returns == STREAMING:
        return ObjectRefGenerator(refs[0], None)
    return refs or None
