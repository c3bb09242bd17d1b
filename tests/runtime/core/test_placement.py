"""Resources add up exactly, and nodes are chosen by stated rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynb.runtime.core.placement import (
    NodeView,
    add,
    describe,
    fits,
    lacking,
    spread,
    subtract,
    to_amounts,
    to_units,
    why_infeasible,
)

AMOUNTS = st.dictionaries(st.sampled_from(["CPU", "GPU", "memory", "spot"]), st.floats(0, 1e6))


def node(name: str, total: dict[str, float], available: dict[str, float] | None = None) -> NodeView:
    free = total if available is None else available
    return NodeView(name.encode(), to_units(total), to_units(free))


def test_ten_tenths_of_a_cpu_are_one_cpu() -> None:
    free = to_units({"CPU": 1})
    for _ in range(10):
        assert fits(to_units({"CPU": 0.1}), free)
        subtract(free, to_units({"CPU": 0.1}))
    assert not fits(to_units({"CPU": 0.0001}), free)
    assert free == {"CPU": 0}


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), 0.00001])
def test_an_amount_that_makes_no_sense_is_refused_by_name(amount: float) -> None:
    with pytest.raises(ValueError, match="CPU"):
        to_units({"CPU": amount})


def test_a_resource_of_zero_needs_nothing() -> None:
    assert to_units({"CPU": 0, "GPU": 0.0}) == {}
    assert fits({}, {"CPU": -5})


@given(AMOUNTS, AMOUNTS)
def test_taking_and_giving_back_leaves_what_was_there(total: dict[str, float], need: dict[str, float]) -> None:
    try:
        free, want = to_units(total), to_units(need)
    except ValueError:
        return
    before = dict(free)
    subtract(free, want)
    add(free, want)
    assert {name: value for name, value in free.items() if value} == before
    assert fits(want, before) == (not lacking(want, before))


def test_amounts_come_back_as_they_were_given() -> None:
    assert to_amounts(to_units({"CPU": 0.5, "spot": 3})) == {"CPU": 0.5, "spot": 3.0}


def test_resources_are_said_as_people_say_them() -> None:
    assert describe(to_units({"CPU": 2, "GPU": 0.5})) == "2 CPU and 0.5 GPU"
    assert describe(to_units({"memory": 2e9})) == "2 GB of memory"
    assert describe({}) == "nothing"


def test_spreading_takes_the_emptiest() -> None:
    busy, idle = node("a", {"CPU": 4}, {"CPU": 1}), node("b", {"CPU": 4}, {"CPU": 3})
    assert spread(to_units({"CPU": 1}), [busy, idle]) is idle
    assert spread(to_units({"CPU": 4}), [busy, idle]) is None


def test_an_infeasible_demand_names_the_resource_what_there_is_and_what_to_do() -> None:
    nodes = [node("a", {"CPU": 2})]
    words = why_infeasible("train", to_units({"CPU": 1, "GPU": 1}), nodes)
    assert words == (
        "train asks for 1 GPU, but no node of this cluster has any GPU: it waits until that changes. Ask for less with "
        ".options(num_gpus=...), start the cluster with init(num_gpus=1), or give it up with ray.cancel()."
    )
    words = why_infeasible("train", to_units({"CPU": 8}), nodes)
    assert "asks for 8 CPU, but the cluster's only node has 2 CPU in all" in words
    assert "resources={'spot': 1}" in why_infeasible("train", to_units({"spot": 1}), nodes)
    assert why_infeasible("train", to_units({"CPU": 2}), nodes) == ""
