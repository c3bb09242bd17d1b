"""A paced generator's worker is told how much was consumed, whatever happens on the way."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.pools import Connection
from raynb.runtime.core.streams import Stream, Streams
from raynb.runtime.core.task import PUSHED, STREAMING, Function, Task
from raynb.runtime.core.waiters import Waiter, Wake
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, StreamAck
from raynb.runtime.messages.values import NOTHING, Failed, Inline

TASK_ID = b"t" * 24


class Actor:
    """Where the generator runs."""

    connection: Connection | None = Connection("worker")


@pytest.fixture
def streams() -> Streams:
    objects = Ownership("me", "node")
    function = Function(FunctionDef(1, b"", "g", b"", backpressure=2), "g", {})
    actor: Any = Actor()
    task = Task(TASK_ID, function, b"", ContextDef(1, b"", "", ""), STREAMING, actor=actor, state=PUSHED, seq=7)
    streams = Streams(objects, {TASK_ID: task})
    streams.open(Stream(TASK_ID, paced=True))
    return streams


def told(effects: list[Any]) -> list[Any]:
    return [effect.message for effect in effects if isinstance(effect, Send) and effect.to == "worker"]


def items(*numbers: int) -> list[Any]:
    return [Inline(bytes([number])) for number in numbers]


def test_each_item_that_is_taken_is_told(streams: Streams) -> None:
    assert told(streams.on_items(TASK_ID, 0, items(0, 1))) == []
    assert told(streams.take(TASK_ID, 0)) == [StreamAck(7, 1)]
    assert told(streams.take(TASK_ID, 1)) == [StreamAck(7, 2)]


def test_an_attempt_that_makes_items_again_is_told_that_they_are_taken(streams: Streams) -> None:
    streams.on_items(TASK_ID, 0, items(0, 1))
    streams.take(TASK_ID, 0)
    assert told(streams.on_items(TASK_ID, 0, items(0))) == [StreamAck(7, 1)]


def test_who_waits_for_the_first_item_is_woken_by_a_failure_before_it(streams: Streams) -> None:
    waiter = Waiter(1, lambda: None)
    assert streams.wait(waiter, TASK_ID, 0) == []
    effects = streams.ended(TASK_ID, Failed("ValueError", "no"))
    assert [effect.waiter for effect in effects if isinstance(effect, Wake)] == [waiter]


def test_a_generator_that_was_let_go_need_not_wait(streams: Streams) -> None:
    streams.on_items(TASK_ID, 0, items(0))
    assert told(streams.close(TASK_ID)) == [StreamAck(7, 0, closed=True)]
    assert told(streams.close(TASK_ID)) == []
    assert told(streams.on_items(TASK_ID, 1, items(1))) == [StreamAck(7, 0, closed=True)], "its first word may be lost"


def test_nobody_is_told_of_a_generator_that_runs_nowhere(streams: Streams) -> None:
    streams.on_items(TASK_ID, 0, items(0))
    Actor.connection, connection = None, Actor.connection
    try:
        assert told(streams.take(TASK_ID, 0)) == []
    finally:
        Actor.connection = connection
    streams.ended(TASK_ID, None)
    assert NOTHING.data[0] == 0x80
