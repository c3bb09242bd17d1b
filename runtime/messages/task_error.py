"""`RayError`, and the error of a task: an instance of `RayTaskError` and of the type that the task raised."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from types import BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final, Self

PUBLIC_MODULE: Final = "raynb.exceptions"
"""Where programs find the errors."""


class RayError(Exception):
    """Base of everything that raynb raises about remote work."""

    @classmethod
    def told(cls, message: str) -> Self:
        """An instance whose text is ``message``."""
        return cls(message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own would call the constructor again, whose arguments need not be `args`.
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(kind: type[RayError], args: tuple[Any, ...], state: dict[str, Any]) -> RayError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class RayTaskError(RayError):
    """A task raised. Raised by ``get`` as an instance of this class and of the type of the cause.

    Attributes
    ----------
    function_name : str
        What raised.
    traceback_str : str
        The remote traceback, as text.
    cause : BaseException or None
        The exception itself, where it could be pickled.
    pid, ip
        Where the task ran.
    """

    def __init__(
        self,
        function_name: str,
        traceback_str: str,
        cause: BaseException | None = None,
        proctitle: str | None = None,
        pid: int | None = None,
        ip: str | None = None,
        actor_repr: str | None = None,
        actor_id: str | None = None,
    ) -> None:
        super().__init__(function_name, traceback_str, cause, proctitle, pid, ip)
        self.function_name = function_name
        self.traceback_str = traceback_str
        self.cause = cause
        self.proctitle = proctitle
        self.pid = pid or 0
        self.ip = ip or "127.0.0.1"
        self.actor_repr = actor_repr
        self.actor_id = actor_id

    @classmethod
    def told(cls, message: str) -> Self:
        """An error of a task of which nothing is known but this."""
        return cls("a task", message)

    def __str__(self) -> str:
        where = f"pid={self.pid}, ip={self.ip}"
        if self.actor_id:
            where += f", actor_id={self.actor_id}, repr={self.actor_repr}"
        header = f"{self.proctitle or f'ray::{self.function_name}'}() ({where})"
        # In the place of the lines that say no more than that frames follow, those of its causes as well: Ray's form.
        text, replaced = re.subn(
            r"^Traceback \(most recent call last\):$", lambda _: header, self.traceback_str, flags=re.M
        )
        return (text if replaced else f"{header}\n{text}").strip("\n")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_task_error, (_origin(self),)

    def as_instanceof_cause(self) -> RayTaskError:
        """This error as an instance of its cause's type too (itself, where that can't be)."""
        cause = self.cause
        if cause is None or isinstance(cause, RayTaskError) or type(self) is not RayTaskError:
            return cause if isinstance(cause, RayTaskError) else self
        cause_type: Any = type(cause)
        both = _both(cause_type)
        if both is None:
            return self
        error = both.__new__(both, *cause.args)
        error.args = cause.args
        _copy_state(cause, error)
        error.__dict__.update(_origin(self))
        error.__dict__.pop("__notes__", None)  # the text has them: Python would tell them twice
        return error

    def make_dual_exception_instance(self) -> RayTaskError:
        """As `as_instanceof_cause`, which is what to call."""
        return self.as_instanceof_cause()


TASK_ERROR_FIELDS = ("function_name", "traceback_str", "cause", "proctitle", "pid", "ip", "actor_repr", "actor_id")


def _origin(error: RayTaskError) -> dict[str, Any]:
    return {name: getattr(error, name) for name in TASK_ERROR_FIELDS}


def _rebuild_task_error(origin: dict[str, Any]) -> RayTaskError:
    return RayTaskError(**origin).as_instanceof_cause()


@lru_cache(maxsize=256)
def _both(cause_type: type[Any]) -> type[RayTaskError] | None:
    """A class that is `RayTaskError` and ``cause_type``, None where Python can't build one (a layout conflict, say)."""
    if issubclass(RayTaskError, cause_type):
        return RayTaskError

    try:
        # The base's own __init__ may ask for arguments that nobody has here: it is left out, the state is copied.
        return type(
            f"RayTaskError({cause_type.__name__})",
            (RayTaskError, cause_type),
            {
                "__module__": PUBLIC_MODULE,
                "__init__": lambda self, *args: None,
                "__new__": _new_exception,
                "__str__": RayTaskError.__str__,
                "__reduce__": RayTaskError.__reduce__,
            },
        )
    except TypeError:
        return None


def _new_exception(cls: type[BaseException], *args: object) -> BaseException:
    """Skip the ``__new__`` of users' classes; C-level bases (OSError, ...) need theirs."""
    for base in cls.__mro__:
        new = base.__dict__.get("__new__")
        if isinstance(new, BuiltinFunctionType):
            try:
                made = new(cls, *args)
            except TypeError:
                made = new(cls)
            assert isinstance(made, BaseException)
            return made
    return BaseException.__new__(cls)


def _copy_state(source: BaseException, target: BaseException) -> None:
    """Copy attributes, also those that C-level exceptions keep outside ``__dict__`` (errno, filename, name, value)."""
    target.__dict__.update(getattr(source, "__dict__", {}))
    for base in type(source).__mro__:
        for name, member in base.__dict__.items():
            if isinstance(member, MemberDescriptorType | GetSetDescriptorType) and not name.startswith("_"):
                with suppress(AttributeError, TypeError):
                    setattr(target, name, getattr(source, name))
