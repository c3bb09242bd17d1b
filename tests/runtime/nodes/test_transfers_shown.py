"""What goes from node to node is seen: in the trace, in the timeline's lanes, and among the objects of a moment."""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np

import raynb
from raynb.runtime.messages import screen
from raynb.widgets.panels import _entry_of
from raynb.widgets.screen import Screen
from tests.support.nodes import Nodes
from tests.support.waiting import wait_until


def transfers() -> list[dict[str, Any]]:
    events = cast("list[dict[str, Any]]", raynb.timeline())
    return [event for event in events if event["ph"] == "b" and event["name"] == "transfer in"]


def test_a_transfer_is_in_the_trace_in_the_timeline_and_leaves_a_copy(nodes: Nodes) -> None:
    far = nodes.add(num_cpus=1, resources={"far": 1.0})

    @raynb.remote(resources={"far": 1.0})
    def block() -> Any:
        return np.ones(3_000_000)

    ref = block.remote()
    assert raynb.get(ref).sum() == 3_000_000
    (event,) = wait_until(transfers, what="the transfer is told")
    assert event["args"]["bytes"] >= 24_000_000 and event["args"]["object_id"] == ref.hex()

    looker = Screen(_entry_of(nodes.head.info.session_dir))
    try:
        looker.ask(1, screen.TimelineView())

        def lanes() -> dict[str, str]:
            state = cast(Any, looker.state(1))
            found = {lane.label: lane.node for lane in state.lanes if lane.kind == "store"} if state else {}
            return found if any(label.startswith("transfers in") for label in found) else {}

        found = wait_until(lanes, what="the timeline has lanes of transfers")
        assert found[f"transfers in · {nodes.head.node_id[:6]}"] == nodes.head.node_id
        assert found[f"transfers out · {far.node_id[:6]}"] == far.node_id

        looker.ask(2, screen.TableView("objects", at=1000 * time.time()))
        page = wait_until(lambda: cast(Any, looker.state(2)), what="the objects of this moment are told")
        (row,) = [row for row in page.rows if row["object_id"] == ref.hex()]
        assert row["node_id"] == far.node_id and row["value_shape"] == [3_000_000]
    finally:
        looker.close()
