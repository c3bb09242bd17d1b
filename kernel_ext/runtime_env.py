"""``raynb.runtime_env``: what the processes of a job, a task or an actor are to find."""

from __future__ import annotations

from raynb.runtime.api.runtime_env import RuntimeEnv, RuntimeEnvConfig

__all__ = ["RuntimeEnv", "RuntimeEnvConfig"]

__path__: list[str] = []
"""Ray's is a package, whose one module has the same names: ``ray.runtime_env.runtime_env`` (`raynb.differences`)."""
