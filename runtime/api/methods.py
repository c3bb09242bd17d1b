"""``method``: options of one method of an actor class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raynb.runtime.api.options import METHOD_OPTIONS, checked, warn_of_dynamic

AT_DEFINITION = sorted(METHOD_OPTIONS.keys() - {"name"})


def method(*args: Any, **options: Any) -> Any:
    """Options of one method of an actor class: ``@method(num_returns=2)``. They are defaults of its calls.

    Raises
    ------
    AssertionError
        An option is not known (as Ray has it).
    ValueError, TypeError
        An option makes no sense, or has the wrong type.
    """
    if len(args) == 1 and not options and callable(args[0]):
        return _mark(args[0], {})
    assert not args, "The @ray.method decorator takes keyword arguments only, like @ray.method(num_returns=2)."
    for name in options:
        known = name in AT_DEFINITION or name == "tensor_transport"
        assert known, f"Unexpected keyword argument to @ray.method: {name!r}. The supported ones are {AT_DEFINITION}"
    chosen = checked(options, METHOD_OPTIONS, "actor methods")
    warn_of_dynamic(options)
    return lambda function: _mark(function, chosen)


def _mark(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    function.__raynb_method__ = options  # type: ignore[attr-defined]
    return function
