"""Decorators by which Ray's own libraries mark what is public: they note it, and change nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from raynb.differences import absent_names
from raynb.runtime.api.deprecation import RayDeprecationWarning, warning_text


def _marking(kind: str) -> Callable[..., Any]:
    def decorator(*args: Any, **options: Any) -> Any:
        if len(args) == 1 and not options and callable(args[0]):
            return _mark(args[0], kind)
        return lambda thing: _mark(thing, kind)

    return decorator


def _mark(thing: Any, kind: str) -> Any:
    thing._annotated, thing._annotated_type = thing.__name__, kind
    return thing


PublicAPI = _marking("PublicAPI")
DeveloperAPI = _marking("DeveloperAPI")


def Deprecated(*args: Any, message: str = "", warning: bool = False) -> Any:
    """Mark as deprecated; with ``warning`` each call warns with the message."""

    def decorate(thing: Any) -> Any:
        thing.__doc__ = f"{thing.__doc__ or ''}\n\nDEPRECATED: {message or 'it will be removed.'}".lstrip()
        if not warning:
            return _mark(thing, "Deprecated")
        text = warning_text(message)
        kind = isinstance(thing, type)
        target: Any = getattr(thing, "__init__") if kind else thing  # noqa: B009 - some class's, not that of `type`

        @wraps(target)
        def warned(*call_args: Any, **kwargs: Any) -> Any:
            warnings.warn(text, RayDeprecationWarning, stacklevel=2)
            return target(*call_args, **kwargs)

        if isinstance(thing, type):
            setattr(thing, "__init__", warned)  # noqa: B010 - see above
            return _mark(thing, "Deprecated")
        return _mark(warned, "Deprecated")

    return decorate(args[0]) if len(args) == 1 and callable(args[0]) else decorate


def _is_annotated(obj: Any) -> bool:
    """Whether it was marked itself, not only what it inherits from or a module of that name."""
    return getattr(obj, "_annotated", None) == getattr(obj, "__name__", "")


def _mark_annotated(obj: Any, annotation_type: str = "UNKNOWN") -> None:
    """Mark it, where it has a name."""
    if hasattr(obj, "__name__"):
        obj._annotated, obj._annotated_type = obj.__name__, annotation_type


def _get_annotation_type(obj: Any) -> str | None:
    """How it was marked; None if it was not."""
    return getattr(obj, "_annotated_type", None) if _is_annotated(obj) else None


__getattr__ = absent_names("util.annotations")
