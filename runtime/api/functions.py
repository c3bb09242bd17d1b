"""Remote functions: what ``@remote`` makes of a function."""

from __future__ import annotations

import inspect
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, NoReturn

from raynb.runtime.api import local_mode
from raynb.runtime.api.graphs import no_graphs
from raynb.runtime.api.older_form import OlderForm
from raynb.runtime.api.options import TASK_OPTIONS, checked, resources_of, warn_of_dynamic
from raynb.runtime.api.published import publish_large_function
from raynb.runtime.api.returns import is_generator, number_of_returns, returned
from raynb.runtime.api.runtime_env import resolved
from raynb.runtime.api.session import connect
from raynb.runtime.api.signatures import signature_of
from raynb.runtime.api.where import captured_by, in_group, says_where, where
from raynb.runtime.client import call_sites
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import EXECUTION
from raynb.runtime.client.refs import check_captured
from raynb.runtime.codec.functions import pack_function
from raynb.runtime.codec.pickling import ByValuePickler, dump
from raynb.runtime.core.task import Function
from raynb.runtime.messages.tasks import FunctionDef

Invocation = Callable[[Sequence[Any], Mapping[str, Any]], Any]
"""Submits a call with these arguments."""


def decorator_of(function: Callable[..., Any]) -> Callable[[Invocation], Invocation] | None:
    """What a function wants to have done to its calls where they are made (Ray's name for that), if anything."""
    return getattr(function, "__ray_invocation_decorator__", None)


class RemoteFunction(OlderForm):
    """A function whose calls are tasks. Made by ``@remote``; call it with ``.remote(...)``.

    Parameters
    ----------
    function
        Any function; what it needs from the notebook goes with it.
    options
        Those of ``.options``.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._function = function
        self._options = checked(options, TASK_OPTIONS, "remote functions")
        self._client: Client | None = None
        self._captured: dict[bytes, RemoteFunction] = {}
        self._registered: Function
        self._held: list[object] = []
        self._decorator = decorator_of(function)
        self._signature = signature_of(function)
        self._num_returns = number_of_returns(self._options.get("num_returns"), is_generator(function))
        self._name = self._options.get("name") or ""
        update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<remote function {self._qualified_name()}>"

    def _qualified_name(self) -> str:
        return getattr(self._function, "__qualname__", None) or repr(self._function)

    def _short_name(self) -> str:
        """What tasks of this function are called: without where it was defined."""
        return self._qualified_name().rsplit(".", 1)[-1]

    @property
    def _function_name(self) -> str:
        return f"{self.__module__}.{self._qualified_name()}"

    @property
    def _default_options(self) -> dict[str, Any]:
        return dict(self._options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = f"{self.__module__}.{self._short_name()}"
        raise TypeError(
            f"Remote functions cannot be called directly. Instead of running '{name}()', try '{name}.remote()'."
        )

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a call.

        Returns
        -------
        ObjectRef, list of ObjectRef, ObjectRefGenerator or None
            One reference; a list for ``num_returns`` > 1, None for 0, a generator for ``"streaming"``.

        Raises
        ------
        TypeError
            The arguments do not fit the function, or can't be pickled; the message names the culprit.
        """
        if self._decorator is not None:
            return self._decorator(self._undecorated())(args, kwargs)
        client = connect()
        group = captured_by(EXECUTION.get())
        if group is not None and not says_where(self._options):
            return self._in_group(group).remote(*args, **kwargs)
        if client is not self._client:
            self._register(client)
        if self._signature is not None:
            self._signature.check(args, kwargs)
        if local_mode.running is not None:
            return local_mode.running.call(
                self._function, args, kwargs, self._num_returns, self._name or self._short_name()
            )
        function = self._registered
        refs = client.submit(
            function,
            args,
            kwargs,
            num_returns=self._num_returns,
            retries=function.max_retries,
            name=self._name,
        )
        return returned(refs, self._num_returns)

    def _undecorated(self) -> Invocation:
        plain = self.options()
        plain._decorator = None
        return lambda args, kwargs: plain.remote(*args, **kwargs)

    def _in_group(self, group: bytes) -> RemoteFunction:
        """This function, in the placement group of the task that calls."""
        captured = self._captured.get(group)
        if captured is None:
            captured = self._captured[group] = self.options(scheduling_strategy=in_group(group))
            captured._decorator = self._decorator
        return captured

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: raynb has no graphs of Ray's kind."""
        raise no_graphs(f"{self._qualified_name()}.bind")

    def options(self, **options: Any) -> RemoteFunction:
        """This function with other options; the original keeps its own."""
        checked(options, TASK_OPTIONS, "remote functions", in_options=True)
        changed = RemoteFunction(self._function, {**self._options, **options})
        warn_of_dynamic(options)
        return changed

    def _register(self, client: Client) -> None:
        """Pickle the function, once for each cluster; what it refers to is what it was then."""
        held: list[object] = []
        function_id, blob = pack_function(self._function, held)
        check_captured(held)
        publish_large_function(client, self._qualified_name(), len(blob))
        place = where(self._options, resources_of(self._options, 1))
        environment = resolved(self._options.get("runtime_env"), client)
        definition = FunctionDef(
            client.next_number(),
            function_id,
            self._short_name(),
            blob,
            packed_exceptions(self._options.get("retry_exceptions", False)),
            max_calls=self._max_calls(),
            resources=place.resources,
            captures=place.captures,
            backpressure=max(self._options.get("_generator_backpressure_num_objects") or 0, 0),
            runtime_env=environment,
            module=getattr(self._function, "__module__", None) or "",
        )
        registered = Function(
            definition,
            self._name or self._short_name(),
            definition.resources,
            max_retries=max_retries(self._options),
            runtime_env=environment,
            strategy=place.strategy,
            called=self._short_name(),
            events=self._options.get("enable_task_events", True),
            call_site=definition_site(self._function),
            job=client.root.context.job,
        )
        # Functions that arrive again and again in arguments are registered once.
        packed = {"runtime_env": environment, "retry_exceptions": definition.retry_exceptions}
        options = sorted({**self._options, **packed}.items(), key=str) if self._options or environment else None
        key = (function_id, pickle.dumps(options) if options else b"")
        self._registered = client.functions.setdefault(key, registered)
        self._held = held
        self._client = client

    def _max_calls(self) -> int:
        """How many calls a process runs; 0: any number. What has a GPU leaves it free at its end, if nothing is said:
        frameworks keep a GPU's memory for as long as their process lives."""
        given: int | None = self._options.get("max_calls")
        return given if given is not None else int(bool(self._options.get("num_gpus")))

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteFunction, (self._function, self._options)


def max_retries(options: Mapping[str, Any]) -> int:
    """How often a task is tried again. Where it does not say, the variable RAY_TASK_MAX_RETRIES may.

    Raises
    ------
    ValueError
        The variable says no number.
    """
    given: int | None = options.get("max_retries")
    if given is not None:
        return given
    text = os.environ.get("RAY_TASK_MAX_RETRIES") or str(TASK_OPTIONS["max_retries"].default)
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"RAY_TASK_MAX_RETRIES must be a number of retries, not {text!r}") from None


def packed_exceptions(retry: bool | Sequence[type[Exception]]) -> bool | bytes:
    """``retry_exceptions``, as it travels."""
    return retry if isinstance(retry, bool) else dump(ByValuePickler, tuple(retry))[0]


def definition_site(function: Any) -> str:
    """``file:line`` of a function or class (of its first method), ``In[3]:line`` in a notebook; empty where that isn't
    known."""
    for part in vars(function).values() if isinstance(function, type) else [function]:
        code = getattr(inspect.unwrap(part) if callable(part) else None, "__code__", None)
        if code is not None:
            return f"{call_sites.source_name(code.co_filename)}:{code.co_firstlineno}"
    module = sys.modules.get(getattr(function, "__module__", ""))
    return getattr(module, "__file__", None) or ""
