"""What the simulator finds of bugs between several nodes: put back in, each is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raynb.runtime.core import client_losses, evictions
from raynb.runtime.core.directory import Directory
from raynb.runtime.core.effects import Send
from raynb.runtime.core.lineage import Lineage
from raynb.runtime.core.ownership import Entry
from raynb.runtime.core.store_send import Sendings
from raynb.runtime.messages.transfers import CopiesHeld
from tests.sim import workload as w
from tests.sim.generate import NODE_MESSAGES
from tests.sim.run import simulate
from tests.sim.test_several_nodes import makes_again, reads_in_small_stores
from tests.sim.workload import Plan

Patch = pytest.MonkeyPatch
SEEDS = 12


def with_a_death() -> list[Plan]:
    """Plans in which a node dies, after one message or another."""
    return [
        makes_again(seed, w.Fault("far-node", after=after, nth=nth, which=seed))
        for seed, nth in enumerate((2, 5, 8, 3, 1, 10, 12, 15, 20))
        for after in NODE_MESSAGES
    ]


def with_little_memory() -> list[Plan]:
    return [reads_in_small_stores(seed) for seed in range(SEEDS)]


def nothing_is_made_again(patch: Patch) -> None:
    """What is lost is waited for, for ever."""
    patch.setattr(client_losses, "_make_again", lambda client, lost, now: None)


def inputs_of_what_may_run_again_are_let_go(patch: Patch) -> None:
    """A kept task does not pin what it was given."""
    honest = Lineage.keep

    def keep(self: Lineage, task: Any, oids: Any) -> None:
        honest(self, task, oids)
        kept = self.kept.get(task.id)
        if kept is not None:
            pinned, kept.pinned = kept.pinned, []
            for oid in pinned:
                self._objects.unpin(oid)

    patch.setattr(Lineage, "keep", keep)


def copies_are_not_freed(patch: Patch) -> None:
    """An owner frees the primary alone."""
    patch.setattr(Directory, "freed", lambda self, oid: self.copies.pop(oid, None))


def copies_that_are_viewed_are_dropped(patch: Patch) -> None:
    """A client forgets its views when it is asked what it needs."""

    def answer(entries: dict[bytes, Entry], asked: Any) -> Send:
        return Send(asked.by, CopiesHeld(asked.round, [oid for oid in asked.oids if oid in asked.held]))

    patch.setattr(evictions, "answer", answer)


def what_is_being_sent_is_not_kept(patch: Patch) -> None:
    """A holder gives the memory of an object back while others pull it."""
    patch.setattr(Sendings, "sends", lambda self, entry: False)


BUGS: list[tuple[Callable[[Patch], None], Callable[[], list[Plan]]]] = [
    (nothing_is_made_again, with_a_death),
    (inputs_of_what_may_run_again_are_let_go, with_a_death),
    (copies_are_not_freed, with_little_memory),
    (copies_that_are_viewed_are_dropped, with_little_memory),
    (what_is_being_sent_is_not_kept, with_a_death),
]


@pytest.mark.parametrize(("bug", "plans"), BUGS, ids=[bug.__name__ for bug, _ in BUGS])
def test_a_known_bug_is_found(bug: Callable[[Patch], None], plans: Callable[[], list[Plan]]) -> None:
    with Patch.context() as patch:
        bug(patch)
        assert any(report.problem or report.failures for report in map(simulate, plans())), bug.__doc__
