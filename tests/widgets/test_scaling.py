"""When a cluster grows and shrinks by itself."""

from __future__ import annotations

import pytest

from raynb.widgets.scaling import IDLE_S, SETTLE_S, Adaptation, Load


def test_it_grows_by_what_waits_when_all_cpus_are_taken() -> None:
    assert Adaptation(1, 16).step(Load(4, 4, 1), 0) == 5


def test_it_at_most_doubles_in_one_step() -> None:
    assert Adaptation(1, 16).step(Load(4, 4, 1000), 0) == 8


def test_it_never_grows_beyond_the_maximum() -> None:
    adaptation = Adaptation(1, 6)
    assert adaptation.step(Load(4, 4, 1000), 0) == 6
    assert adaptation.step(Load(6, 6, 1000), 100) is None


def test_it_waits_for_what_the_last_step_does() -> None:
    adaptation = Adaptation(1, 16)
    assert adaptation.step(Load(2, 2, 9), 0) == 4
    assert adaptation.step(Load(4, 4, 7), SETTLE_S / 2) is None
    assert adaptation.step(Load(4, 4, 7), SETTLE_S) == 8


def test_what_waits_for_something_else_than_a_cpu_makes_nothing_grow() -> None:
    assert Adaptation(1, 16).step(Load(4, 2, 5), 0) is None


def test_it_shrinks_after_idling_to_the_most_that_was_in_use() -> None:
    adaptation = Adaptation(1, 16)
    assert adaptation.step(Load(8, 2, 0), 0) is None
    assert adaptation.step(Load(8, 2.5, 0), IDLE_S / 2) is None
    assert adaptation.step(Load(8, 0, 0), IDLE_S) == 3


def test_work_that_waited_meanwhile_starts_the_time_anew() -> None:
    adaptation = Adaptation(1, 16)
    adaptation.step(Load(8, 0, 0), 0)
    adaptation.step(Load(8, 7, 1), IDLE_S / 2)
    assert adaptation.step(Load(8, 0, 0), IDLE_S) is None
    assert adaptation.step(Load(8, 0, 0), 2 * IDLE_S) == 1


def test_it_never_shrinks_below_the_minimum_or_what_is_in_use() -> None:
    adaptation = Adaptation(3, 16)
    adaptation.step(Load(8, 0, 0), 0)
    assert adaptation.step(Load(8, 0, 0), IDLE_S) == 3
    busy = Adaptation(1, 16)
    busy.step(Load(8, 8, 0), 0)
    assert busy.step(Load(8, 8, 0), IDLE_S) is None


@pytest.mark.parametrize(("cpus", "wanted"), [(1, 2), (9, 4), (2, None), (4, None)])
def test_it_comes_within_its_bounds_at_once(cpus: int, wanted: int | None) -> None:
    assert Adaptation(2, 4).step(Load(cpus, 0, 0), 0) == wanted


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 1), (3, 2), (-1, -1)])
def test_bounds_that_make_no_sense_are_refused(minimum: int, maximum: int) -> None:
    with pytest.raises(ValueError, match="1 <= minimum <= maximum"):
        Adaptation(minimum, maximum)
