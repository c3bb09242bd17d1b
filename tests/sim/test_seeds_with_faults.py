"""Simulated clusters keep what is promised whatever goes wrong: a thousand seeds (`test_seeds` has the others)."""

from __future__ import annotations

from tests.sim.seeds import check_block


def test_every_promise_is_kept(first: int) -> None:
    check_block(first, faults=True)
