"""Times of parts of a program, for its timeline (`raynb.timeline`)."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from types import TracebackType

from raynb.runtime.api.session import connect
from raynb.runtime.client.spans import tell
from raynb.runtime.messages.events import Span


class ProfiledSpan:
    """What `profile` gives: a block of code within a ``with``."""

    def __init__(self, name: str, extra: Mapping[str, str]) -> None:
        self._name = name
        self._extra = dict(extra)
        self._started = self._began = 0.0

    def __repr__(self) -> str:
        return f"<ProfiledSpan {self._name}>"

    def set_attribute(self, key: str, value: str) -> None:
        """Note one more thing about it."""
        if not isinstance(key, str) or not isinstance(value, str):
            raise ValueError(f"what is noted about a span must be texts, not {key!r}: {value!r}")
        self._extra[key] = value

    def __enter__(self) -> ProfiledSpan:
        self._started, self._began = time.time(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        duration = time.perf_counter() - self._began
        if error is not None:
            words = "".join(traceback.format_exception(kind, error, frames))
            self._extra |= {"type": str(kind), "value": str(error), "traceback": words}
        client = connect()
        task = client.execution().task_id
        tell(client, [Span(task if any(task) else b"", self._name, self._started, duration, self._extra)])


def profile(event_type: str, extra_data: Mapping[str, str] | None = None) -> ProfiledSpan:
    """Time a block of code in a driver, a task or an actor, for the timeline.

    Parameters
    ----------
    event_type
        Its category, and its name where ``extra_data`` has none.
    extra_data
        Texts to be seen with it; ``name`` and ``cname`` are what is drawn, and in which colour of the trace viewers'.

    Examples
    --------
    >>> with profile("reading", extra_data={"file": "data.csv"}):  # doctest: +SKIP
    ...     read()
    """
    extra = dict(extra_data or {})
    for key, value in extra.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ValueError(f"extra_data must be texts, not {key!r}: {value!r}")
    return ProfiledSpan(event_type, extra)
