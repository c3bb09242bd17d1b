"""``raynb.cloudpickle``: the pickler of functions and classes, where Ray's programs look for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pickle import PicklingError
from typing import Any, Final

from cloudpickle import (
    CloudPickler,
    Pickler,
    dump,
    dumps,
    load,
    loads,
    register_pickle_by_value,
    unregister_pickle_by_value,
)

from raynb.util.check_serialize import inspect_serializability

__all__ = [
    "CloudPickler",
    "Pickler",
    "dump",
    "dump_debug",
    "dumps",
    "dumps_debug",
    "load",
    "loads",
    "register_pickle_by_value",
    "unregister_pickle_by_value",
]

VERBOSE: Final = "RAY_PICKLE_VERBOSE_DEBUG"


def dump_debug(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """`dump`, whose errors say more: with the variable RAY_PICKLE_VERBOSE_DEBUG, which part can't be pickled."""
    return _telling(dump, obj, *args, **kwargs)


def dumps_debug(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The same of `dumps`."""
    return _telling(dumps, obj, *args, **kwargs)


def _telling(pickle: Callable[..., Any], obj: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return pickle(obj, *args, **kwargs)
    except (TypeError, PicklingError) as error:
        if os.environ.get(VERBOSE):
            inspect_serializability(obj)
            raise
        raise type(error)(
            f"{obj!s} can't be pickled: {error}. Which of its parts can't, a run with {VERBOSE}=1 shows, or "
            "raynb.util.inspect_serializability()."
        ) from error
