"""Where a task's inputs lie."""

from __future__ import annotations

import msgspec

from raynb.runtime.core.bundle_names import cpus_of, group_name
from raynb.runtime.core.locality import WORTH_BYTES, home_of
from raynb.runtime.messages.values import Inline, Stored

HERE, THERE, BEYOND = "ipc://here", "ipc://there", "ipc://beyond"


def stored(node: str, size: int) -> Stored:
    return Stored(b"oid", "owner", node, "segment", 0, size)


def test_large_inputs_on_one_other_node_draw_a_task_there() -> None:
    assert home_of([stored(THERE, WORTH_BYTES)], HERE) == THERE
    assert home_of([stored(THERE, WORTH_BYTES), Inline(b"x"), None], HERE) == THERE
    assert home_of([stored(THERE, WORTH_BYTES), stored(BEYOND, 2 * WORTH_BYTES)], HERE) == BEYOND


def test_a_copy_draws_as_the_first_does() -> None:
    first, second = stored(THERE, WORTH_BYTES), msgspec.structs.replace(stored(BEYOND, WORTH_BYTES), oid=b"second")
    assert home_of([first, second], HERE, copies={b"oid": {BEYOND: stored(BEYOND, WORTH_BYTES)}}) == BEYOND
    assert home_of([first], HERE, copies={b"oid": {HERE: stored(HERE, WORTH_BYTES)}}) == ""


def test_small_ones_and_those_that_weigh_less_than_what_is_here_do_not() -> None:
    assert home_of([], HERE) == ""
    assert home_of([stored(HERE, 10 * WORTH_BYTES)], HERE) == ""
    assert home_of([stored(THERE, WORTH_BYTES - 1)], HERE) == ""
    assert home_of([stored(THERE, WORTH_BYTES), stored(HERE, WORTH_BYTES)], HERE) == ""


def test_where_little_travels_with_a_task_little_is_worth_going_there() -> None:
    assert home_of([stored(THERE, 100)], HERE, 100) == THERE
    assert home_of([stored(THERE, 99)], HERE, 100) == ""


def test_the_cpus_of_a_task_are_found_in_a_placement_group_too() -> None:
    group = b"g" * 18
    grouped = {group_name("bundle", group): 0.001, group_name("CPU", group): 2.0, group_name("CPU", group, 1): 2.0}
    assert (cpus_of({"CPU": 3.0}), cpus_of({}), cpus_of(grouped)) == (3.0, 0, 2.0)
