"""What is asked of `util` without a cluster: what can't be pickled, where tasks are to run, decorators."""

from __future__ import annotations

import importlib
import io
import threading
import warnings
from typing import Any

import pytest

from tests.support import module

NODE = "ab" * 28


def part_of_util(name: str) -> Any:
    return importlib.import_module(f"{module.NAME}.util.{name}")


# -- inspect_serializability


class Holder:
    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)


def inspected(value: Any, **how: Any) -> tuple[bool, list[Any], str]:
    out = io.StringIO()
    fine, failures = part_of_util("check_serialize").inspect_serializability(value, print_file=out, **how)
    return fine, list(failures), out.getvalue()


def test_what_can_be_pickled_has_no_failures() -> None:
    assert inspected({"a": [1, 2]})[:2] == (True, [])


def test_the_variable_of_a_function_that_is_to_blame_is_named() -> None:
    lock = threading.Lock()

    def guarded() -> object:
        return lock

    fine, (failed,), text = inspected(guarded)
    assert not fine
    assert (failed.obj, failed.path, failed.parent) == (lock, ("lock",), guarded)
    assert "lock" in text


def test_the_attribute_of_an_object_that_is_to_blame_is_named() -> None:
    lock = threading.Lock()
    inner = Holder(lock=lock, fine=3)
    _, (failed,), _ = inspected(Holder(inner=inner), name="holder")
    assert (failed.obj, failed.path, failed.parent) == (lock, ("holder", "inner", "lock"), inner)


def test_no_deeper_than_told_is_looked() -> None:
    inner = Holder(lock=threading.Lock())
    _, (failed,), _ = inspected(Holder(inner=inner), depth=1)
    assert failed.obj is inner


# -- scheduling strategies


@pytest.fixture
def strategies() -> Any:
    return part_of_util("scheduling_strategies")


def test_a_strategy_keeps_what_it_was_made_with(strategies: Any) -> None:
    on_node = strategies.NodeAffinitySchedulingStrategy(NODE, soft=True)
    assert (on_node.node_id, on_node.soft) == (NODE, True)
    in_group = strategies.PlacementGroupSchedulingStrategy(None, 2)
    assert (in_group.placement_group_bundle_index, in_group.placement_group_capture_child_tasks) == (2, None)
    labels = strategies.NodeLabelSchedulingStrategy(
        {"zone": strategies.In("a", "b")}, soft={"gpu": strategies.Exists()}
    )
    assert labels.hard[0].key == "zone"
    assert len(labels.soft) == 1


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda s: s.NodeAffinitySchedulingStrategy("not hex", soft=True), "node_id"),
        (lambda s: s.NodeAffinitySchedulingStrategy("abcd", soft=True), "node_id"),
        (lambda s: s.NodeAffinitySchedulingStrategy("ff" * 28, soft=True), "node_id"),
        (lambda s: s.NodeAffinitySchedulingStrategy(NODE, False, _spill_on_unavailable=True), "_spill_on_unavailable"),
        (lambda s: s.NodeAffinitySchedulingStrategy(NODE, True, _fail_on_unavailable=True), "_fail_on_unavailable"),
        (lambda s: s.NodeLabelSchedulingStrategy({}), "both be empty"),
        (lambda s: s.NodeLabelSchedulingStrategy({"a": "b"}), "hard"),
        (lambda s: s.NodeLabelSchedulingStrategy({1: s.In("b")}), "hard"),
        (lambda s: s.NodeLabelSchedulingStrategy({"a": s.In("b")}, soft={"c": 1}), "soft"),
        (lambda s: s.In(), "In"),
        (lambda s: s.NotIn(3), "NotIn"),
    ],
)
def test_a_strategy_that_can_not_be_meant_is_refused(strategies: Any, make: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make(strategies)


# -- marks and logs


def test_marks_leave_functions_and_classes_as_they_are() -> None:
    marks = part_of_util("annotations")

    @marks.PublicAPI
    def one() -> int:
        return 1

    @marks.PublicAPI(stability="beta")
    class Two:
        pass

    @marks.DeveloperAPI
    @marks.Deprecated
    def three() -> int:
        return 3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (one(), isinstance(Two(), Two), three()) == (1, True, 3)


def test_what_is_marked_is_known() -> None:
    marks = part_of_util("annotations")

    @marks.PublicAPI
    class Marked:
        pass

    class Inherits(Marked):
        pass

    assert marks._is_annotated(Marked) and not marks._is_annotated(Inherits)
    marks._mark_annotated(Inherits)
    assert marks._is_annotated(Inherits)


def test_a_deprecated_function_warns_if_it_is_to() -> None:
    marks = part_of_util("annotations")

    @marks.Deprecated(message="Use the new one.", warning=True)
    def old() -> int:
        return 1

    with pytest.warns(marks.RayDeprecationWarning, match="Use the new one"):
        assert old() == 1


def test_a_thing_is_logged_once() -> None:
    debug = part_of_util("debug")
    assert [debug.log_once("here"), debug.log_once("here"), debug.log_once("there")] == [True, False, True]
    debug.reset_log_once("here")
    assert [debug.log_once("here"), debug.log_once("there")] == [True, False]
    debug.reset_log_once()
    assert [debug.log_once("here"), debug.log_once("there")] == [True, True]


@pytest.mark.usefixtures("raynb_only")  # of Ray it can't be taken back, and the clock is another
def test_what_is_logged_once_may_come_again_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    debug = part_of_util("debug")
    now = 1000.0
    monkeypatch.setattr(debug.time, "monotonic", lambda: now)
    monkeypatch.setattr(debug, "_periodic", False)
    monkeypatch.setattr(debug, "_disabled", False)
    assert debug.log_once("again")
    now += debug.PERIOD_S
    assert not debug.log_once("again")
    debug.enable_periodic_logging()
    assert debug.log_once("again") and not debug.log_once("again")
    now += debug.PERIOD_S
    debug.disable_log_once_globally()
    assert not debug.log_once("again") and not debug.log_once("anything")


def test_the_node_has_an_address_also_without_a_cluster() -> None:
    address = importlib.import_module(f"{module.NAME}.util").get_node_ip_address()
    assert len(address.split(".")) == 4


def test_resources_of_a_running_node_are_not_set() -> None:
    set_resource = importlib.import_module(f"{module.NAME}.experimental").set_resource
    with pytest.raises(DeprecationWarning, match="placement"):
        set_resource("gold", 1)


def test_bundles_and_their_labels_are_checked_without_a_cluster() -> None:
    groups = part_of_util("placement_group")
    groups._validate_bundles([{"CPU": 1, "custom-resource": 2.2}, {"GPU": 0.75}])
    groups._validate_bundle_label_selector([])
    groups._validate_bundle_label_selector([{"ray.io/market_type": "spot"}])
    wrong: list[tuple[Any, str]] = [
        ("no list", "must be a list"),
        ([{1: "value"}], "must be a list of string dictionary"),
        ([{"no label": "a"}], "Invalid label selector provided"),
    ]
    for given, words in wrong:
        with pytest.raises(ValueError, match=words):
            groups._validate_bundle_label_selector(given)
