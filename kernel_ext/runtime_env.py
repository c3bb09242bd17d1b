"""``raynb.runtime_env``: what the processes of a job, a task or an actor are to find."""

from __future__ import annotations

from raynb.runtime.api.runtime_env import RuntimeEnv, RuntimeEnvConfig

__all__ = ["RuntimeEnv", "RuntimeEnvConfig"]
