"""The live view of a `raynb.widgets.cluster.Cluster`; loaded when the first one is shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import traitlets

from raynb.widgets.live import LiveView
from raynb.widgets.output import STATIC

UNSEEN_S_MAX = 60.0
"""After so long without a view nobody looks (a notebook executed without a front end, say)."""


class ClusterView(LiveView):
    """What `labextension/src/widgets/cluster.ts` draws.

    Parameters
    ----------
    act
        Called with what the person wants done, in the kernel's (or a subshell's) thread.
    opened
        Called when somebody looks at it (again).

    Attributes
    ----------
    facts
        See `raynb.widgets.cluster_facts.facts_of`.
    control
        What is under way, and what can be done: ``busy``, ``message``, ``failed``, ``adaptive``, ``clusters``,
        and ``answered``: the wish that was dealt with last.
    """

    _esm = STATIC / "cluster.js"
    _css = STATIC / "cluster.css"
    facts: Any = traitlets.Dict().tag(sync=True)
    control: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, act: Callable[[dict[str, Any]], None], opened: Callable[[], None], **state: Any) -> None:
        self._tell_opened = opened
        self._made_at = time.monotonic()
        super().__init__(**state)
        self.on_msg(lambda _, content, buffers: act(content if isinstance(content, dict) else {}))

    def opened(self) -> None:
        """Somebody looks at it (again)."""
        self._tell_opened()

    @property
    def is_looked_at(self) -> bool:
        """Whether it is displayed, or may be yet."""
        return self.is_displayed if self.was_seen else time.monotonic() - self._made_at < UNSEEN_S_MAX
