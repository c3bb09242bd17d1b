"""``JobConfig``: the older way to say a driver's namespace and runtime_env."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from raynb.runtime.api.options import check_namespace
from raynb.runtime.api.runtime_env import check_fields, merged

VARIABLE: Final = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""A `JobConfig` as JSON, from whoever starts drivers."""
OVERRIDE: Final = "RAY_OVERRIDE_JOB_RUNTIME_ENV"
"""1: what the driver says counts, where both say something."""


class JobConfig:
    """What ``init(job_config=...)`` takes.

    Parameters
    ----------
    runtime_env, ray_namespace
        As the arguments ``runtime_env`` and ``namespace`` of ``init``.
    default_actor_lifetime
        ``"detached"``: actors that don't say otherwise outlive the driver.
    code_search_path
        Folders that tasks import from, too, after the driver's own.
    metadata
        Texts by name, which the state API has of the job.

    Raises
    ------
    ValueError
        Something that raynb has not.
    """

    def __init__(
        self,
        jvm_options: list[str] | None = None,
        code_search_path: list[str] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        _client_job: bool = False,
        metadata: Mapping[str, str] | None = None,
        ray_namespace: str | None = None,
        default_actor_lifetime: str = "non_detached",
    ) -> None:
        if jvm_options:
            raise ValueError("raynb does not support JobConfig(jvm_options=...)")
        self.code_search_path = [os.path.abspath(path) for path in code_search_path or ()]
        if metadata is not None and not isinstance(metadata, Mapping):
            raise TypeError(f"the metadata of a job must be texts by name, not {metadata!r}")
        self.metadata: dict[str, str] = {}
        for key, value in (metadata or {}).items():
            self.set_metadata(key, value)
        self.set_ray_namespace(ray_namespace)
        self.set_runtime_env(runtime_env)
        self.set_default_actor_lifetime(default_actor_lifetime)

    def __repr__(self) -> str:
        return f"JobConfig(ray_namespace={self.ray_namespace!r}, runtime_env={self.runtime_env!r})"

    @classmethod
    def from_json(cls, job_config_json: Mapping[str, Any]) -> JobConfig:
        """From a mapping with the names of the arguments."""
        known = ("jvm_options", "code_search_path", "runtime_env", "metadata", "ray_namespace")
        return cls(**{name: job_config_json[name] for name in known if name in job_config_json})

    def set_metadata(self, key: str, value: str) -> None:
        """Note something about the job, before it begins."""
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"the metadata of a job must be texts, not {key!r}: {value!r}")
        self.metadata[key] = value

    def set_runtime_env(self, runtime_env: Mapping[str, Any] | None, validate: bool = False) -> None:
        """What the job's processes find; always validated."""
        check_fields(runtime_env or {})
        self.runtime_env = dict(runtime_env or {})

    def set_ray_namespace(self, ray_namespace: str | None) -> None:
        """Where named actors are looked for."""
        check_namespace(ray_namespace)
        self.ray_namespace = ray_namespace

    def set_default_actor_lifetime(self, default_actor_lifetime: str) -> None:
        """See the class."""
        if default_actor_lifetime not in ("detached", "non_detached"):
            raise ValueError(
                f"Default actor lifetime must be one of `detached`, `non_detached`, not {default_actor_lifetime!r}"
            )
        self.default_actor_lifetime = default_actor_lifetime


def with_environment(job: JobConfig, env: Mapping[str, Any] | None) -> tuple[JobConfig, Mapping[str, Any] | None]:
    """What a driver says of its job and of its environment, and what the variable `VARIABLE` says.

    Raises
    ------
    ValueError
        Both say something of the same; or the variable is no JSON of a `JobConfig`.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return job, env
    try:
        given = JobConfig.from_json(json.loads(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the variable {VARIABLE} is no job's configuration as JSON: {error}") from error
    for key, value in given.metadata.items():
        job.set_metadata(key, value)
    own = check_fields(env or job.runtime_env)
    both = sorted(_said(given.runtime_env) & _said(own))
    if both and os.environ.get(OVERRIDE) != "1":
        raise ValueError(
            f"Failed to merge the Job's runtime env {given.runtime_env} with a ray.init's runtime env {own} because of "
            f"a conflict: both say something of {', '.join(both)}. Set {OVERRIDE}=1 to have the second count."
        )
    return job, merged(given.runtime_env, own)


def _said(env: Mapping[str, Any]) -> set[str]:
    """What an environment says something of: fields (the two that install packages are one), and variables."""
    fields = {"pip" if name == "uv" else name for name in env if name != "env_vars"}
    return fields | {f"env_vars[{name!r}]" for name in env.get("env_vars", ())}
