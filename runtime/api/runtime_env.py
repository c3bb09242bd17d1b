"""``runtime_env``: what the processes of a job, a task or an actor are to find - variables, folders, packages.

What the user writes is checked here, completed by what the caller's own process has (children inherit), and written as
JSON of one form: workers are shared only where that text is the same (`raynb.runtime.core.worker_pool`). What a worker
does with it stands in `raynb.runtime.worker.environment`.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from types import ModuleType
from typing import Any, ClassVar, Final

from raynb.runtime.api import without_effect
from raynb.runtime.api.env_packages import snapshot
from raynb.runtime.client.client import Client
from raynb.runtime.codec.pickling import ByValuePickler, dump
from raynb.runtime.messages.errors import RuntimeEnvSetupError

PIP_FIELDS: Final = ("packages", "pip_check", "pip_install_options", "pip_version")
UV_FIELDS: Final = ("packages", "uv_check", "uv_pip_install_options", "uv_version")

UNSUPPORTED: Final = {
    "conda": "use pip or uv",
    "container": "start the cluster in the container",
    "image_uri": "start the cluster in the container",
    "java_jars": "raynb is for Python",
    "nsight": "start the cluster under the profiler",
    "py_executable": "workers run in the driver's Python",
    "rocprof_sys": "start the cluster under the profiler",
}
"""Fields that Ray has and raynb has not, and what to do instead."""

ENV_HOOK: Final = "RAY_RUNTIME_ENV_HOOK"
HOOK_PREFIX: Final = "pickle:"


class RuntimeEnvConfig(dict[str, Any]):
    """How an environment is set up.

    Parameters
    ----------
    setup_timeout_seconds
        After this it has failed; -1: never.
    eager_install
        An environment is set up when it is first needed, whatever this is.
    log_files
        Without effect, which is told.
    """

    known_fields: ClassVar[frozenset[str]] = frozenset({"setup_timeout_seconds", "eager_install", "log_files"})

    def __init__(
        self, setup_timeout_seconds: int = 600, eager_install: bool = True, log_files: list[str] | None = None
    ) -> None:
        if not isinstance(setup_timeout_seconds, int):
            raise TypeError(f"setup_timeout_seconds must be of type int, got: {type(setup_timeout_seconds)}")
        if setup_timeout_seconds != -1 and setup_timeout_seconds <= 0:
            raise ValueError(
                f"setup_timeout_seconds must be greater than zero or equals to -1, got: {setup_timeout_seconds}"
            )
        if not isinstance(eager_install, bool):
            raise TypeError(f"eager_install must be a boolean. got {type(eager_install)}")
        if log_files is not None and not (isinstance(log_files, list) and all(isinstance(f, str) for f in log_files)):
            raise TypeError(f"log_files must be a list of strings or None, got {log_files!r}")
        given = {"log_files": log_files}
        without_effect.tell("RuntimeEnvConfig({name}={value!r})", given, without_effect.OF_ENVIRONMENT)
        super().__init__(
            setup_timeout_seconds=setup_timeout_seconds, eager_install=eager_install, log_files=log_files or []
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return deepcopy(dict(self))

    @classmethod
    def default_config(cls) -> RuntimeEnvConfig:
        """What holds where nothing is said."""
        return cls()

    @classmethod
    def parse_and_validate_runtime_env_config(cls, config: Mapping[str, Any]) -> RuntimeEnvConfig:
        """From a dictionary; entries that nobody knows are warned of."""
        if isinstance(config, RuntimeEnvConfig):
            return config
        if not isinstance(config, Mapping):
            raise TypeError(f"runtime_env['config'] must be of type dict or RuntimeEnvConfig, got: {type(config)}")
        known = {name: value for name, value in config.items() if name in cls.known_fields}
        if unknown := sorted(map(str, set(config) - set(known))):
            warnings.warn(f"runtime_env['config']: entries that are not known are ignored: {unknown}", stacklevel=2)
        return cls(**known)


class RuntimeEnv(dict[str, Any]):
    """A checked ``runtime_env``: a dictionary with the fields that were given.

    Parameters
    ----------
    env_vars
        Environment variables; ``${NAME}`` in a value is replaced by what the worker has there.
    working_dir
        A local folder (or archive): a copy of it is where tasks run, and on their import path.
    py_modules
        Local packages (folders, modules or wheels) that tasks can import.
    pip, uv
        Packages to install: a list, a file of requirements, or a dictionary with ``packages`` and options.
    worker_process_setup_hook
        A function without arguments, or the name of one (``"module.function"``), called when a process starts.
    excludes
        Patterns, as in .gitignore, of what is not copied.
    config
        A `RuntimeEnvConfig`.

    Raises
    ------
    ValueError
        An unknown field, or one that raynb does not have; or a value that makes no sense.
    TypeError
        A value of the wrong type.
    """

    known_fields: ClassVar[frozenset[str]]

    def __init__(self, *, _validate: bool = True, **fields: Any) -> None:
        super().__init__(check_fields(fields) if _validate else fields)

    def __setitem__(self, name: str, value: Any) -> None:
        given = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for field, checked in check_fields({name: given}).items():
            super().__setitem__(field, checked)

    def set(self, name: str, value: Any) -> None:
        """As ``env[name] = value``: a field, or a dataclass with what is in it."""
        self[name] = value

    def get(self, name: str, default: Any = None, data_class: Callable[..., Any] | None = None) -> Any:
        """A field; with a dataclass, an instance of it with what is in the field."""
        value = super().get(name, default)
        return value if data_class is None or name not in self else data_class(**value)

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            name: value.to_dict() if isinstance(value, RuntimeEnvConfig) else _copy(value)
            for name, value in self.items()
        }

    def serialize(self) -> str:
        """As JSON."""
        return json.dumps(self, sort_keys=True, default=_unserializable)

    @classmethod
    def deserialize(cls, serialized_runtime_env: str) -> RuntimeEnv:
        """From JSON."""
        return cls(_validate=False, **json.loads(serialized_runtime_env))

    def env_vars(self) -> dict[str, str]:
        """The variables."""
        return dict(self.get("env_vars", {}))

    def working_dir(self) -> str:
        """The folder; empty: the driver's own."""
        return str(self.get("working_dir", ""))

    def working_dir_uri(self) -> str | None:
        """As `working_dir`; None where there is none."""
        return self.working_dir() or None

    def py_modules_uris(self) -> list[str]:
        """As `py_modules`, as texts."""
        return [module if isinstance(module, str) else module.__name__ for module in self.py_modules()]

    def py_modules(self) -> list[Any]:
        """The packages that are copied."""
        return list(self.get("py_modules", []))

    def has_pip(self) -> bool:
        return "pip" in self

    def has_uv(self) -> bool:
        return "uv" in self

    def has_working_dir(self) -> bool:
        return "working_dir" in self

    def pip_uri(self) -> str | None:
        """A name for what is installed by pip: the same for the same packages."""
        return _uri("pip", self.get("pip"))

    def uv_uri(self) -> str | None:
        """A name for what is installed by uv."""
        return _uri("uv", self.get("uv"))

    def plugin_uris(self) -> list[str]:
        """raynb has no plugins."""
        return []

    def plugins(self) -> list[tuple[str, Any]]:
        """raynb has no plugins."""
        return []

    # What raynb has not is in no environment.

    def has_conda(self) -> bool:
        return False

    def has_py_container(self) -> bool:
        return False

    def java_jars(self) -> list[str]:
        """raynb is for Python."""
        return []

    def conda_uri(self) -> None:
        """raynb has no conda."""

    conda_env_name = conda_config = virtualenv_name = conda_uri

    def py_container_image(self) -> None:
        """raynb starts no containers."""

    py_container_run_options = py_container_worker_path = image_uri = py_container_image

    def py_executable(self) -> None:
        """Workers run in the driver's Python."""

    def nsight(self) -> None:
        """raynb starts no profilers."""

    rocprof_sys = nsight

    def pip_config(self) -> dict[str, Any]:
        """What is installed by pip."""
        return dict(self.get("pip", {}))

    def uv_config(self) -> dict[str, Any]:
        """What is installed by uv."""
        return dict(self.get("uv", {}))


def _copy(value: Any) -> Any:
    """Of lists and dictionaries; modules and functions are what they are."""
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value


def _uri(kind: str, packages: Any) -> str | None:
    if not packages:
        return None
    return f"{kind}://{hashlib.sha1(json.dumps(packages, sort_keys=True).encode()).hexdigest()}"


def _unserializable(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def check_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given, each in its longest form.

    Raises
    ------
    ValueError, TypeError
        As `RuntimeEnv` says.
    """
    if isinstance(given, RuntimeEnv):
        return dict(given)
    if not isinstance(given, Mapping):
        raise TypeError(f"runtime_env must be a dictionary or a RuntimeEnv, not {type(given)}")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        check = CHECKS.get(name)
        if check is not None:
            checked = check(name, value)
            if not _says_nothing(name, checked):
                found[name] = checked
        elif name in UNSUPPORTED:
            raise ValueError(f"raynb does not support runtime_env[{name!r}]: {UNSUPPORTED[name]}")
        else:
            raise ValueError(f"runtime_env has no field {name!r}: there are {', '.join(sorted(CHECKS))}")
    if "pip" in found and "uv" in found:
        raise ValueError("The 'pip' field and 'uv' field of runtime_env cannot be specified at the same time.")
    return found


def _says_nothing(name: str, checked: Any) -> bool:
    return not checked["packages"] if name in ("pip", "uv") else checked in ({}, []) and name != "py_modules"


def _check_env_vars(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"runtime_env['env_vars'] must be of type Dict[str, str], got {type(value)}")
    for key, text in value.items():
        for what, part in (("key", key), ("value", text)):
            if not isinstance(part, str):
                raise TypeError(
                    f"runtime_env['env_vars'] must be of type Dict[str, str], but the {what} {part} is of type "
                    f"{type(part)}"
                )
        if not key or "=" in key or "\0" in key + text:
            raise ValueError(f"runtime_env['env_vars']: {key!r} can't be a variable with the value {text!r}")
    return dict(value)


def _check_working_dir(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"`working_dir` must be a string, got {type(value)}.")
    return value


def _check_py_modules(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"`py_modules` must be a list of strings, got {type(value)}.")
    for module in value:
        if not isinstance(module, str | ModuleType):
            raise TypeError(f"`py_modules` must be a list of strings or imported modules, got {type(module)} in it.")
    return list(value)


def _check_packages(name: str, value: Any) -> dict[str, Any]:
    fields = PIP_FIELDS if name == "pip" else UV_FIELDS
    if isinstance(value, str):
        try:
            with open(value) as file:
                lines = [line.partition(" #")[0].strip() for line in file]
        except OSError:
            raise ValueError(f"{value} is not a valid file") from None
        value = [line for line in lines if line and not line.startswith("#")]
    if isinstance(value, list | tuple):
        value = {"packages": list(value)}
    if not isinstance(value, Mapping):
        raise TypeError(f"runtime_env[{name!r}] must be of type str or List[str], got {type(value)}")
    if unknown := sorted(set(value) - set(fields)):
        raise ValueError(
            f"runtime_env[{name!r}] can only have these fields: {', '.join(fields[:-1])} and {fields[-1]}, but got: "
            f"{unknown}"
        )
    _check_pip_options(name, value)
    packages = value.get("packages")
    if not isinstance(packages, list | tuple) or not all(isinstance(package, str) for package in packages):
        raise ValueError(f"runtime_env[{name!r}] must include the field 'packages', a list of requirements")
    return {f"{name}_check": False, **value, "packages": list(dict.fromkeys(packages))}


def _check_pip_options(name: str, given: Mapping[str, Any]) -> None:
    for field, value in given.items():
        wanted: type | None = None
        if field.endswith("_check"):
            wanted = bool
        elif field.endswith("_version"):
            wanted = str
        elif field.endswith("_options"):
            wanted = list
        if wanted is not None and not isinstance(value, wanted):
            raise TypeError(f"runtime_env[{name!r}][{field!r}] must be of type {wanted.__name__}, got {type(value)}")
        if wanted is list and (other := next((text for text in value if not isinstance(text, str)), None)) is not None:
            raise TypeError(f"runtime_env[{name!r}][{field!r}] must be of type list[str], got {type(other)} in it")


def _check_hook(name: str, value: Any) -> Any:
    if not callable(value) and not isinstance(value, str):
        raise TypeError(f"worker_process_setup_hook must be a function or the name of one, got {type(value)}.")
    return value


def _check_excludes(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise TypeError(f"runtime_env['excludes'] must be of type List[str], got {type(value)}")
    return value


def _check_config(name: str, value: Any) -> dict[str, Any]:
    return RuntimeEnvConfig.parse_and_validate_runtime_env_config(value)


CHECKS: Final = {
    "config": _check_config,
    "env_vars": _check_env_vars,
    "excludes": _check_excludes,
    "pip": _check_packages,
    "py_modules": _check_py_modules,
    "uv": _check_packages,
    "working_dir": _check_working_dir,
    "worker_process_setup_hook": _check_hook,
}
RuntimeEnv.known_fields = frozenset({*CHECKS, *UNSUPPORTED})


def resolved(given: Mapping[str, Any] | None, client: Client) -> str:
    """The environment of a task or an actor that this process submits: JSON, empty where there is nothing to do.

    Parameters
    ----------
    given
        Its own, over what this process runs in: fields replace that one's, variables are added to it.
    """
    inherited = client.runtime_env
    if not given:
        return inherited
    whole = merged(json.loads(inherited or "{}"), packed(given, client))
    return json.dumps(whole, sort_keys=True, separators=(",", ":")) if whole else ""


def merged(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Ray's rule: the child's fields, over the parent's; of variables both."""
    whole = {**parent, **child}
    if "pip" in child:
        whole.pop("uv", None)
    if "uv" in child:
        whole.pop("pip", None)
    variables = {**parent.get("env_vars", {}), **child.get("env_vars", {})}
    if variables:
        whole["env_vars"] = variables
    return whole


def packed(given: Mapping[str, Any], client: Client) -> dict[str, Any]:
    """Checked, and with what lies in folders or in this process replaced by what every worker can reach."""
    env = check_fields(given)
    excludes = env.pop("excludes", [])
    where = client.session_dir
    if "working_dir" in env:
        env["working_dir"] = snapshot(env["working_dir"], where, excludes, "working_dir")
    if "py_modules" in env:
        env["py_modules"] = [snapshot(module, where, excludes, "py_modules") for module in env["py_modules"]]
    hook = env.get("worker_process_setup_hook")
    if callable(hook):
        env["worker_process_setup_hook"] = HOOK_PREFIX + base64.b64encode(_exported(hook)).decode()
    elif hook is not None and not re.fullmatch(r"\w+(\.\w+)+", hook) and not hook.startswith(HOOK_PREFIX):
        raise ValueError(f"worker_process_setup_hook must be the name of a function, 'module.function', not {hook!r}")
    return env


def _exported(hook: Callable[[], Any]) -> bytes:
    try:
        return bytes(dump(ByValuePickler, hook)[0])
    except Exception as error:
        raise RuntimeEnvSetupError(f"Failed to export the setup function. {type(error).__name__}: {error}") from error


def of_hook(env: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the function that RAY_RUNTIME_ENV_HOOK names makes of a job's ``runtime_env``; without one, what it was.

    Raises
    ------
    ValueError
        There is no such function.
    """
    name = os.environ.get(ENV_HOOK)
    if not name:
        return env
    module, _, attribute = name.rpartition(".")
    try:
        hook: Callable[[dict[str, Any] | None], dict[str, Any] | None] = getattr(
            importlib.import_module(module), attribute
        )
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{ENV_HOOK} must be package.module.function, not {name!r} ({error})") from error
    return hook(None if env is None else dict(env))
