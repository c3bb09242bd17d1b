"""The live view of a `raynb.widgets.task_progress.Progress`; loaded when the first one is shown."""

from __future__ import annotations

from typing import Any

import traitlets

from raynb.widgets.live import LiveView
from raynb.widgets.output import STATIC


class ProgressView(LiveView):
    """What `labextension/src/widgets/progress.ts` draws.

    Attributes
    ----------
    state, failures
        See `raynb.widgets.progress_page.state_of` and `failures_of`.
    """

    _esm = STATIC / "progress.js"
    _css = STATIC / "progress.css"
    state: Any = traitlets.Dict().tag(sync=True)
    failures: Any = traitlets.List().tag(sync=True)

    @property
    def is_closed(self) -> bool:
        """Whether it was displayed and is no more."""
        return self.was_seen and not self.is_displayed
