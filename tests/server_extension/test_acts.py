"""What a panel has done to a run that it did not start, by the websocket; also while the driver stands still."""

from __future__ import annotations

import time
from pathlib import Path

from raynb.runtime.messages import screen
from raynb.runtime.messages.events import FAILED, RUNNING
from tests.server_extension.conftest import Driven
from tests.server_extension.jupyter import Screen
from tests.server_extension.test_views import GRAPH, IN_CELL, counted


def act(window: Screen, action: str, target: str) -> str:
    """The answer's words; empty if it was done."""
    number = 1000 + len(window.told)
    began = time.monotonic()
    window.send(screen.Act(number, action, target))  # type: ignore[arg-type]
    window.until(lambda: [told for told in window.told_of(screen.Done) if told.id == number])
    assert time.monotonic() - began < 1.0
    (done,) = [told for told in window.told_of(screen.Done) if told.id == number]
    return str(done.error)


def held(cluster: Driven, gate: Path, count: int) -> Screen:
    window = cluster.screen()
    window.subscribe(screen.GraphView(), GRAPH)
    cluster.run(f"{IN_CELL}; held = [hold.remote({str(gate)!r}) for _ in range({count})]")
    window.until(lambda: counted(window, "wait_for", RUNNING) == 2)
    return window


def test_a_functions_unfinished_tasks_are_cancelled_while_the_driver_stands_still(cluster: Driven, gate: Path) -> None:
    window = held(cluster, gate, 5)
    (node,) = window.states[GRAPH].nodes
    cluster.program.stop()
    assert act(window, "cancel", node.id) == ""
    cluster.program.go_on()
    window.until(lambda: counted(window, "wait_for", FAILED) == 5)
    assert "over already" in act(window, "cancel", node.id)


def test_a_cells_unfinished_tasks_are_cancelled_by_the_cells_id(cluster: Driven, gate: Path) -> None:
    window = held(cluster, gate, 3)
    assert act(window, "cancel", "cell:abc") == ""
    window.until(lambda: counted(window, "wait_for", FAILED) == 3)


def test_what_can_not_be_done_is_told_in_words(cluster: Driven, gate: Path) -> None:
    window = held(cluster, gate, 2)
    for action, target, words in (
        ("cancel", "cell:nowhere", "there is no function and no cell"),
        ("cancel", "<b>x</b>", "is not the id of a task"),
        ("kill_actor", "ab" * 16, "there is no actor"),
        ("scale", "many", "no number of CPUs"),
    ):
        assert words in act(window, action, target)
