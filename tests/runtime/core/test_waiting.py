"""When a process that waits gives its CPUs to others: at once for what it has submitted itself, else after a moment."""

from __future__ import annotations

import pytest

from raynb.runtime.core.client_effects import Blocked
from raynb.runtime.core.inbox import StopWaiting, WaitFor
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.streams import Streams
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.core.waiting import Waiting

OWN, OTHERS = b"o" * 28, b"b" * 28


@pytest.fixture
def waiting() -> Waiting:
    objects = Ownership("me", "node")
    objects.create(OWN, 1)
    objects.borrow(OTHERS, "another", local=1)
    return Waiting(objects, Streams(objects, {}))


def wait(waiting: Waiting, *oids: bytes, blocking: bool = True) -> tuple[WaitFor, list[object]]:
    item = WaitFor(Waiter(len(oids), lambda: None), list(oids), blocking)
    return item, waiting.begin(item, 0.0)


@pytest.mark.parametrize(("oids", "briefly"), [((OTHERS,), True), ((OWN,), False), ((OTHERS, OWN), False)])
def test_what_others_own_may_be_there_at_once(waiting: Waiting, oids: tuple[bytes, ...], briefly: bool) -> None:
    item, effects = wait(waiting, *oids)
    assert effects == [Blocked(True, briefly)]
    assert waiting.end(StopWaiting(item.waiter, item.oids)) == [Blocked(False)]


def test_the_first_and_the_last_thread_are_told(waiting: Waiting) -> None:
    first, _ = wait(waiting, OTHERS)
    second, effects = wait(waiting, OWN)
    assert effects == []
    assert waiting.end(StopWaiting(first.waiter, first.oids)) == []
    assert waiting.end(StopWaiting(second.waiter, second.oids)) == [Blocked(False)]


def test_a_future_waits_without_standing_still(waiting: Waiting) -> None:
    assert wait(waiting, OWN, blocking=False)[1] == []
