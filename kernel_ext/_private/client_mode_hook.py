"""Client mode, under the names of ``ray._private.client_mode_hook``: there is none, and so nothing to hook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from raynb.differences import absent_names

F = TypeVar("F", bound=Callable[..., Any])

is_client_mode_enabled: Final = False
is_client_mode_enabled_by_default: Final = False


def client_mode_should_convert() -> bool:
    """Whether a call goes over a client connection: never."""
    return False


def client_mode_hook(func: F) -> F:
    """The function as it is."""
    return func


def client_mode_wrap(func: F) -> F:
    """The function as it is."""
    return func


@contextmanager
def disable_client_hook() -> Iterator[None]:
    """Nothing is to be disabled."""
    yield


@contextmanager
def enable_client_mode() -> Iterator[None]:
    """Refused: a program that wants client mode wants a server."""
    raise RuntimeError("raynb has no client mode: raynb.init(address=...) joins a cluster on this machine")
    yield


@contextmanager
def connect_to_client_or_not(connect_to_client: bool) -> Iterator[None]:
    """Nothing where no client connection is wanted; refused where one is."""
    if connect_to_client:
        with enable_client_mode():
            pass
    yield


__getattr__ = absent_names("_private.client_mode_hook")
