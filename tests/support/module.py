"""The module under test: raynb, or Ray itself to check the specification (RAYNB_TEST_MODULE=ray)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, Protocol, overload


class Ray(Protocol):
    """As much of the API's type as tests need to be checked themselves."""

    __name__: str
    exceptions: Any

    @overload
    def remote(self, target: Callable[..., Any], /) -> Any: ...
    @overload
    def remote(self, **options: Any) -> Callable[..., Any]: ...

    def method(self, **options: Any) -> Callable[..., Any]: ...

    def __getattr__(self, name: str) -> Any: ...


NAME = os.environ.get("RAYNB_TEST_MODULE", "raynb")
IS_RAYNB = NAME == "raynb"


def module() -> Ray:
    found: Any = importlib.import_module(NAME)
    return found  # type: ignore[no-any-return]


def state_api() -> Any:
    """``ray.util.state``, which a program imports by name."""
    return importlib.import_module(f"{NAME}.util.state")
