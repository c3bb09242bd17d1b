"""``_remote``: how calls with options were written in older programs for Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class OlderForm:
    """What has ``options`` and ``remote``: a remote function, an actor class, a method of an actor."""

    def _remote(
        self: Any, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """``remote`` in Ray's older form: arguments and options in one call."""
        chosen = self.options(**options) if options else self
        return chosen.remote(*(args or ()), **(kwargs or {}))
