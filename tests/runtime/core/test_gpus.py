"""Which GPUs a lease has."""

from __future__ import annotations

from itertools import count

from raynb.runtime.core.bundle_names import group_units
from raynb.runtime.core.bundles import Bundles
from raynb.runtime.core.gpus import Gpus
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.placement import UNITS, to_units
from raynb.runtime.messages.node import LeaseDemand

GROUP = bytes(17) + b"g"


def need(gpus: float) -> dict[str, int]:
    return to_units({"CPU": 1, "GPU": gpus})


def test_each_lease_has_whole_ones_of_its_own() -> None:
    gpus = Gpus(3 * UNITS)
    first, second = gpus.take(need(2)), gpus.take(need(1))
    assert first is not None and second is not None
    assert (first.names, second.names) == (["0", "1"], ["2"])
    assert gpus.choose(need(1)) is None
    first.give_back()
    assert gpus.choose(need(1)) == {"0": UNITS}


def test_parts_are_of_one_that_is_in_parts_already() -> None:
    gpus = Gpus(2 * UNITS, ["GPU-a", "GPU-b"])
    held = [gpus.take(need(0.4)) for _ in range(2)]
    assert [taken.names for taken in held if taken is not None] == [["GPU-a"], ["GPU-a"]]
    assert gpus.choose(need(0.2)) == {"GPU-a": UNITS // 5}
    assert gpus.choose(need(0.3)) == {"GPU-b": 3 * UNITS // 10}
    assert gpus.choose(need(1)) == {"GPU-b": UNITS}


def test_halves_of_two_are_no_whole_one() -> None:
    """The lease waits, though the sum would be enough, and is granted when there is a whole one."""
    leases = Leases(to_units({"GPU": 2}))
    workers = count()

    def ask(key: int, amount: float, level: int) -> int:
        resources = {"GPU": amount}
        leases.state_demand("a", LeaseDemand(key, resources, level, "f"), to_units(resources), 0.0)
        return serve()

    def serve() -> int:
        granted = len(leases.serve(lambda demand: f"w{next(workers)}", 8, 0.0).granted)
        leases.check()
        return granted

    assert ask(1, 0.6, 2) == 2
    assert ask(2, 0.8, 1) == 0
    assert leases.available == to_units({"GPU": 0.8})
    leases.release(next(iter(leases.by_number.values())), 0.0)
    ask(1, 0.6, 1)
    assert [grant.gpus.names for grant in leases.by_number.values() if grant.gpus is not None] == [["1"], ["0"]]


def test_a_bundle_has_its_own_from_when_it_is_reserved() -> None:
    leases = Leases(to_units({"CPU": 4, "GPU": 3}))
    bundles = Bundles(leases)
    assert not bundles.reserve(GROUP, 1, [(0, {"GPU": 1.0}), (1, {"GPU": 1.0})])
    leases.check()
    assert leases.gpus.choose(need(1)) == {"2": UNITS}, "the others are reserved"
    bundles.commit(GROUP, 1, 0.0)
    one = group_units({"GPU": UNITS, "bundle": 10}, GROUP, 1)
    assert leases.gpus.choose(one) == {"1": UNITS}
    taken = leases.gpus.take(group_units({"GPU": UNITS, "bundle": 10}, GROUP, -1))
    assert taken is not None and taken.names == ["0"]
    assert leases.gpus.choose(group_units({"GPU": UNITS, "bundle": 10}, GROUP, 0)) is None
    assert leases.gpus.choose(one) == {"1": UNITS}
    bundles.give_back(GROUP, 1, 0.0, removed=True)
    leases.check()
    taken.give_back()
    leases.check()
    assert leases.gpus.choose(to_units({"GPU": 3})) is not None


def test_bundles_that_would_be_in_pieces_are_not_reserved() -> None:
    leases = Leases(to_units({"GPU": 2}))
    bundles = Bundles(leases)
    assert not bundles.reserve(GROUP, 1, [(0, {"GPU": 0.6}), (1, {"GPU": 0.6})])
    other = bytes(17) + b"h"
    assert "GPU" in bundles.reserve(other, 1, [(0, {"GPU": 0.3}), (1, {"GPU": 0.5})])
    leases.check()
    assert leases.available == to_units({"GPU": 0.8})
    assert not bundles.reserve(other, 2, [(0, {"GPU": 0.3}), (1, {"GPU": 0.4})])
