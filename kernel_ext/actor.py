"""``raynb.actor``: what Ray's programs import from ``ray.actor``."""

from __future__ import annotations

from typing import TypeVar

from raynb.runtime.api.actors import ActorClass, ActorClassInheritanceException, ActorHandle, ActorMethod
from raynb.runtime.api.methods import method
from raynb.runtime.worker.actor import exit_actor

T = TypeVar("T")
ActorProxy = ActorHandle | type[T]
"""For annotations: a handle, of which a type checker knows the methods of the class."""

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "exit_actor",
    "method",
]
