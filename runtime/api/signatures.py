"""Checking a call against a signature where it is made, so that a wrong call fails there and then, as it does
locally."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from msgspec import Struct

_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD
_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY


class CallSignature(Struct, array_like=True, frozen=True):
    """What a function accepts. Small and without code, so that it can travel with an actor's handle.

    Attributes
    ----------
    positional
        Names that may be given by position, in order; the first ``positional_only`` of them only so.
    required
        How many of ``positional`` have no default.
    keyword_only
        Name -> whether it must be given.
    var_positional, var_keyword
        Whether it takes ``*args`` and ``**kwargs``.
    """

    name: str
    positional: list[str]
    required: int
    positional_only: int = 0
    keyword_only: dict[str, bool] = {}
    var_positional: bool = False
    var_keyword: bool = False

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> None:
        """Refuse a call that the function could not accept.

        Raises
        ------
        TypeError
            As Python's own, with the function's name.
        """
        count = len(args)
        fits = self.required <= count and (count <= len(self.positional) or self.var_positional)
        if fits and not kwargs and not any(self.keyword_only.values()):
            return
        self._check_slowly(count, kwargs or {})

    def _check_slowly(self, count: int, kwargs: dict[str, Any]) -> None:
        names = self.positional
        if count > len(names) and not self.var_positional:
            raise TypeError(f"{self.name}() too many positional arguments: takes {len(names)}, got {count}")
        by_position = set(names[:count])
        by_keyword = set(names[self.positional_only :])
        for key in kwargs:
            if key in by_position and key in by_keyword:
                raise TypeError(f"{self.name}() multiple values for argument {key!r}")
            if key not in by_keyword and key not in self.keyword_only and not self.var_keyword:
                raise TypeError(f"{self.name}() got an unexpected keyword argument {key!r}")
        for name in names[count : self.required]:
            if name not in kwargs:
                raise TypeError(f"{self.name}() missing a required argument: {name!r}")
        for name, needed in self.keyword_only.items():
            if needed and name not in kwargs:
                raise TypeError(f"{self.name}() missing a required argument: {name!r}")


def signature_of(function: Callable[..., Any], *, name: str = "", skip_self: bool = False) -> CallSignature | None:
    """The signature of a function, None where Python doesn't know it (some builtins)."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    if skip_self and parameters and parameters[0].kind not in (_VAR_POSITIONAL, _VAR_KEYWORD):
        parameters = parameters[1:]
    named = [p for p in parameters if p.kind not in (_VAR_POSITIONAL, _VAR_KEYWORD, _KEYWORD_ONLY)]
    return CallSignature(
        name or getattr(function, "__name__", "function"),
        [p.name for p in named],
        sum(1 for p in named if p.default is p.empty),
        sum(1 for p in named if p.kind is _POSITIONAL_ONLY),
        {p.name: p.default is p.empty for p in parameters if p.kind is _KEYWORD_ONLY},
        any(p.kind is _VAR_POSITIONAL for p in parameters),
        any(p.kind is _VAR_KEYWORD for p in parameters),
    )
