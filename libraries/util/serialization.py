"""Serializers of the user's own for classes that can't be pickled as they are."""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle


def register_serializer(cls: type, *, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]) -> None:
    """From now on, instances of a class travel as what ``serializer`` makes of them.

    It holds in this process: register it in a task, too, that is to return or to put such objects.

    Parameters
    ----------
    serializer
        Gets the object; gives something that can be pickled.
    deserializer
        Gets that, in the process that receives it; gives the object. It travels with each of them.
    """
    packed = cloudpickle.dumps(deserializer)

    def reduce(value: Any) -> tuple[Any, ...]:
        return _rebuild, (packed, serializer(value))

    copyreg.pickle(cls, reduce)


def deregister_serializer(cls: type) -> None:
    """Have instances of a class pickled as before; nothing happens where none was registered."""
    copyreg.dispatch_table.pop(cls, None)


def _rebuild(packed: bytes, value: Any) -> Any:
    return pickle.loads(packed)(value)
