"""What IPython itself keeps of a notebook's values: its outputs (``Out[7]``, ``_7``), the last three (``_``, ``__``,
``___``), the result of the last cell and the frames of the last error.

`%reset -f out` forgets the outputs and still holds the last ones, out of everybody's sight.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

LAST = ("_", "__", "___")
LAST_RESULTS = "_ (the last results, kept by IPython)"
LAST_ERROR = "the frames of the last error"


class History:
    """Of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def held(self) -> Iterator[tuple[str, Any]]:
        """What is held beside ``Out``, by how people are told of it."""
        for place in self._places():
            for name in LAST:
                if name in place:
                    yield LAST_RESULTS, place[name]

    def _places(self) -> tuple[dict[str, Any], ...]:
        return (vars(self._shell.displayhook), self._shell.user_ns_hidden, self._shell.user_ns)

    def outputs(self) -> list[int]:
        """Numbers of the outputs that are kept."""
        return list(self._shell.user_ns.get("_oh", ()))

    def forget(self, unwanted: Callable[[Any], bool]) -> list[str]:
        """Let go of the outputs and last results that are ``unwanted``; how those were called."""
        gone: dict[str, None] = {}
        kept = self._shell.user_ns.get("_oh", {})
        for number in self.outputs():
            if unwanted(kept[number]):
                gone[f"Out[{number}]"] = None
                del kept[number]
        for place in self._places():
            for name in [*LAST, *(name for name in list(place) if name[:1] == "_" and name[1:].isdigit())]:
                if name in place and unwanted(place[name]):
                    gone.setdefault(f"Out[{name[1:]}]" if name[1:].isdigit() else "_", None)
                    # As IPython leaves them: these three always exist.
                    if name in LAST:
                        place[name] = ""
                    else:
                        del place[name]
        return list(gone)

    def forget_errors(self) -> None:
        """Let go of the last error's frames, and of the last cell's result."""
        for name in ("last_exc", "last_value", "last_traceback"):
            if hasattr(sys, name):
                setattr(sys, name, None)
        last = getattr(self._shell, "last_execution_result", None)
        if last is not None:
            last.result = last.error_in_exec = last.error_before_exec = None
        tracebacks = self._shell.InteractiveTB
        for name in ("tb", "value", "etype"):
            if hasattr(tracebacks, name):
                setattr(tracebacks, name, None)
