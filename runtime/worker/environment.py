"""A worker's ``runtime_env``: set up once, before its first task of it; a worker never has another one.

Rules
-----
* Packages first, then folders, then variables, then the user's hook, which may use all of them.
* What fails is the environment, not the task: the error has what was tried and its output, and the worker leaves, so
  that the next attempt begins in a fresh one.
* Packages that the worker itself has loaded already (numpy, pyarrow, pyzmq, msgspec, psutil, cloudpickle) stay as they
  are: nothing can take a loaded extension module out of a process.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import pickle
import re
import sys
import traceback
from typing import Any

from raynb.runtime.messages.errors import RuntimeEnvSetupError
from raynb.runtime.worker.pip_env import install

HOOK_PREFIX = "pickle:"
_REFERENCE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class Environment:
    """What this worker's tasks find."""

    def __init__(self) -> None:
        self.text = ""
        """The JSON that it was set up from; empty: nothing."""
        self.folder = ""
        """Where tasks run; empty: where their driver does."""
        self.being_set_up = ""
        """What is done right now, for those who ask why a task does not run."""
        self.variables: frozenset[str] = frozenset()
        """Names of those that it sets."""
        self._path: list[str] = []

    def enter(self, text: str) -> None:
        """Set it up, if it isn't.

        Raises
        ------
        RuntimeEnvSetupError
            It can't be.
        """
        if text == self.text:
            return
        if self.text:
            raise RuntimeEnvSetupError("this worker has another runtime_env already: that is an error of raynb's")
        env = json.loads(text)
        try:
            self._set_up(env)
        except RuntimeEnvSetupError:
            raise
        except BaseException as error:
            story = "".join(traceback.format_exception(error)).rstrip()
            raise RuntimeEnvSetupError(f"{self.being_set_up} failed:\n{story}") from error
        finally:
            self.being_set_up = ""
        self.text = text

    def _set_up(self, env: dict[str, Any]) -> None:
        timeout_s = float(env.get("config", {}).get("setup_timeout_seconds", 600))
        for tool in ("pip", "uv"):
            if tool in env:
                self.being_set_up = f"installing {', '.join(env[tool]['packages'])}"
                made = install(tool, env[tool], None if timeout_s < 0 else timeout_s)
                self._path += [str(folder) for folder in made.site_packages]
                os.environ["VIRTUAL_ENV"] = str(made.root)
                os.environ["PATH"] = f"{made.root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._path = [*env.get("py_modules", []), *self._path]
        if "working_dir" in env:
            self.being_set_up = f"entering {env['working_dir']}"
            self.folder = env["working_dir"]
            self._path.insert(0, self.folder)
            os.chdir(self.folder)
        before = dict(os.environ)
        variables = {name: _expanded(value, before) for name, value in env.get("env_vars", {}).items()}
        self._path += filter(None, variables.pop("PYTHONPATH", "").split(os.pathsep))
        self.first_on_path()
        os.environ.update(variables)
        if self._path:  # for what tasks start
            inherited = before.get("PYTHONPATH", "").split(os.pathsep)
            os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [*self._path, *inherited])))
        self.variables = frozenset(env.get("env_vars", ()))
        hook = env.get("worker_process_setup_hook")
        if hook is not None:
            self.being_set_up = "the worker_process_setup_hook"
            try:
                _function(hook)()
            except BaseException as error:
                story = "".join(traceback.format_exception(error)).rstrip()
                raise RuntimeEnvSetupError(
                    f"Failed to execute the setup hook method. The worker_process_setup_hook failed:\n{story}"
                ) from error

    def first_on_path(self) -> None:
        """Its folders stand before the driver's."""
        if self._path:
            sys.path[:] = [*self._path, *(path for path in sys.path if path not in self._path)]
            importlib.invalidate_caches()


def _expanded(value: str, variables: dict[str, str]) -> str:
    """With ``${NAME}`` replaced, by nothing where it isn't set, as in Ray."""
    return _REFERENCE.sub(lambda found: variables.get(found[1] or found[2], ""), value)


def _function(hook: str) -> Any:
    if hook.startswith(HOOK_PREFIX):
        return pickle.loads(base64.b64decode(hook.removeprefix(HOOK_PREFIX)))
    module, _, name = hook.rpartition(".")
    return getattr(importlib.import_module(module), name)
