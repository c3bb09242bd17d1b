"""The live view of a panel in a notebook; loaded when the first one is shown."""

from __future__ import annotations

from typing import Any

import traitlets

from raynb.widgets.live import LiveView
from raynb.widgets.output import STATIC


class ScreenView(LiveView):
    """What `labextension/src/widgets/screen.ts` draws: a panel of JupyterLab's, in a cell.

    Attributes
    ----------
    kind
        graph | timeline | objects | object | actor
    options
        ``focus``: the id of a task, an object or an actor.
    cluster
        ``id``, ``address``, ``name``.
    frames
        By subscription: the newest snapshot as JSON; ``welcome``: what the hub said first.
    """

    _esm = STATIC / "screen.js"
    _css = STATIC / "screen.css"
    kind: Any = traitlets.Unicode().tag(sync=True)
    options: Any = traitlets.Dict().tag(sync=True)
    cluster: Any = traitlets.Dict().tag(sync=True)
    frames: Any = traitlets.Dict().tag(sync=True)
