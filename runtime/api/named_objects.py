"""Objects with a name, which outlive whoever has put them: ``put(value, name=...)`` and `get_object`.

An object ends with its owner, so these are owned by a *keeper*, a detached actor of each namespace that has any. It
makes a copy of its own of what it is given, holds it until it is deleted, and ends with the cluster.
"""

from __future__ import annotations

from typing import Any

from raynb.runtime.api import objects
from raynb.runtime.api.cluster import get_actor
from raynb.runtime.api.remote import make_remote
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.errors import RayActorError

KEEPER = "raynb:named objects"


class Keeper:
    """Owns the named objects of a namespace."""

    def __init__(self) -> None:
        self._objects: dict[str, ObjectRef[Any]] = {}

    def keep(self, name: str, value: Any) -> list[ObjectRef[Any]]:
        """Own a copy of the value under this name, instead of what had it before."""
        self._objects[name] = objects.put(value)
        return [self._objects[name]]

    def find(self, name: str) -> list[ObjectRef[Any]]:
        """The reference, in a list; an empty one if there is none."""
        return [self._objects[name]] if name in self._objects else []

    def delete(self, name: str) -> bool:
        """Let go of it."""
        return self._objects.pop(name, None) is not None

    def names(self) -> list[str]:
        """In the order in which they were first put."""
        return list(self._objects)


def put_named(value: Any, name: str, namespace: str | None = None) -> ObjectRef[Any]:
    """See `put`. Returns when the object is safe from the end of this process."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"a named object needs a name that is not empty, not {name!r}")
    keeper = make_remote(Keeper, {}).options(
        name=KEEPER, namespace=namespace, lifetime="detached", get_if_exists=True, num_cpus=0
    )
    (ref,) = objects.get(keeper.remote().keep.remote(name, objects.put(value)))
    found: ObjectRef[Any] = ref
    return found


def get_object(name: str, namespace: str | None = None) -> ObjectRef[Any]:
    """A reference to a named object, from any process of the cluster.

    Parameters
    ----------
    namespace
        Where it was put; by default this process's, as for `get_actor`.

    Raises
    ------
    ValueError
        There is none of this name; the message lists those that there are.
    """
    keeper = _keeper(namespace)
    found: list[ObjectRef[Any]] = [] if keeper is None else objects.get(keeper.find.remote(name))
    if not found:
        raise _missing(name, list_named_objects(namespace))
    return found[0]


def delete_object(name: str, namespace: str | None = None) -> None:
    """Let a named object go: its memory is free when nobody else refers to it.

    Raises
    ------
    ValueError
        There is none of this name.
    """
    keeper = _keeper(namespace)
    if keeper is None or not objects.get(keeper.delete.remote(name)):
        raise _missing(name, list_named_objects(namespace))


def list_named_objects(namespace: str | None = None) -> list[str]:
    """The names of the named objects of a namespace (by default this process's)."""
    keeper = _keeper(namespace)
    names: list[str] = [] if keeper is None else objects.get(keeper.names.remote())
    return names


def _keeper(namespace: str | None) -> Any:
    try:
        keeper = get_actor(KEEPER, namespace)
        objects.get(keeper.__ray_ready__.remote())
    except (ValueError, RayActorError):
        return None
    return keeper


def _missing(name: str, there_are: list[str]) -> ValueError:
    known = f"there are: {', '.join(there_are)}" if there_are else "there is none at all"
    return ValueError(f"no object is named {name!r} in this namespace; {known}")
