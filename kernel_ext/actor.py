"""``raynb.actor``: what Ray's programs import from ``ray.actor``."""

from __future__ import annotations

from raynb.runtime.api.actors import ActorClass, ActorClassInheritanceException, ActorHandle, ActorMethod
from raynb.runtime.api.methods import method
from raynb.runtime.worker.actor import exit_actor

__all__ = ["ActorClass", "ActorClassInheritanceException", "ActorHandle", "ActorMethod", "exit_actor", "method"]
