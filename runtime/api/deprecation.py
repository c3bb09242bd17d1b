"""What Ray has deprecated works here, too, and warns in Ray's words, by which programs filter the warning.

No filter is set here, and so Python shows it for what runs in the main module and in tests. Ray's own filter shows it
for every module, once; but one that is set at some first use would go before those that a program has set.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

WARNING = (
    "This API is deprecated and may be removed in future Ray releases. You could suppress this warning by setting env "
    'variable PYTHONWARNINGS="ignore::DeprecationWarning"'
)


class RayDeprecationWarning(DeprecationWarning):
    """Something that was marked as deprecated is used."""


def warning_text(advice: str = "") -> str:
    """The warning, with what to use instead."""
    return f"{WARNING}\n{advice}" if advice else WARNING


def deprecated(advice: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have each call of a function or a property's getter warn its caller, with the advice."""
    text = warning_text(advice)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def warned(*args: P.args, **kwargs: P.kwargs) -> R:
            warnings.warn(text, RayDeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return warned

    return decorate
