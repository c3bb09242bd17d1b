"""A hint for whoever changes in place what came from the object store: numpy says only that it can't be done."""

from __future__ import annotations

from types import TracebackType
from typing import Any

NAMES_MAX = 3
_ALL = "what comes from the object store"


def hint(error: BaseException | None) -> str:
    """What to do about an error that says that something is read-only; empty for other errors."""
    if not isinstance(error, ValueError) or "read-only" not in str(error):
        return ""
    names = _names(error.__traceback__)
    if not names:
        return f"{_ALL[0].upper()}{_ALL[1:]} is read-only, for others may be reading it: change a copy, x.copy()."
    shown = ", ".join(f"`{name}`" for name in names)
    return (
        f"{shown} {'is' if len(names) == 1 else 'are'} read-only, as {_ALL} is, for others may be reading it: "
        f"`{names[0]} = {names[0]}.copy()` gives one that can be changed."
    )


def _names(traceback: TracebackType | None) -> list[str]:
    """Variables that stand for arrays nobody may write to, of the innermost function that has any."""
    found: list[str] = []
    while traceback is not None:
        frame = traceback.tb_frame
        used = {*frame.f_code.co_names, *frame.f_code.co_varnames, *frame.f_code.co_freevars}
        seen = {**frame.f_globals, **frame.f_locals} if len(used) < 10_000 else {}
        names = [name for name in seen if name in used and not name.startswith("_") and _is_read_only(seen[name])]
        found = names[:NAMES_MAX] or found
        traceback = traceback.tb_next
    return found


def _is_read_only(value: Any) -> bool:
    if type(value).__module__.partition(".")[0] not in ("numpy", "pandas"):
        return False
    try:
        array = value.to_numpy(copy=False) if hasattr(value, "to_numpy") else value
        return not array.flags.writeable and array.ndim > 0
    except Exception:  # no array after all
        return False
