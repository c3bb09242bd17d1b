"""The live view of a `raynb.widgets.cluster.Cluster`; loaded when the first one is shown."""

from __future__ import annotations

from typing import Any

import traitlets

from raynb.widgets.live import LiveView
from raynb.widgets.output import STATIC


class ClusterView(LiveView):
    """What `labextension/src/widgets/cluster.ts` draws.

    It says what the person wants done.

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
