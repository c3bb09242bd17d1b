"""Which nodes come into question for a strategy."""

from __future__ import annotations

import pytest

from raynb.runtime.core.placement import NodeView, to_units
from raynb.runtime.core.strategies import may, meets, share_out, wanted, why_nowhere
from raynb.runtime.messages.strategy import DEFAULT, LabelRule, Strategy

ONE = to_units({"CPU": 1})


def node(name: str, cpus: float = 2, free: float | None = None, **labels: str) -> NodeView:
    available = to_units({"CPU": cpus if free is None else free})
    return NodeView(name.encode().ljust(28), to_units({"CPU": cpus}), available, name, labels)


A, B, C = node("a", zone="near"), node("b", zone="far", fast="yes"), node("c", cpus=8)


def names(nodes: list[NodeView]) -> str:
    return "".join(node.manager for node in nodes)


@pytest.mark.parametrize(
    ("rule", "there", "other", "missing"),
    [
        (LabelRule("zone", ("near", "mid")), True, False, False),
        (LabelRule("zone", ("near",), negated=True), False, True, True),
        (LabelRule("zone"), True, True, False),
        (LabelRule("zone", negated=True), False, False, True),
    ],
)
def test_a_rule_is_met_by_labels(rule: LabelRule, there: bool, other: bool, missing: bool) -> None:
    assert [meets(rule, labels) for labels in ({"zone": "near"}, {"zone": "far"}, {})] == [there, other, missing]


def test_by_default_all_nodes_come_into_question_that_could_ever_run_it() -> None:
    assert names(wanted(DEFAULT, ONE, [A, B, C])) == "abc"
    assert names(wanted(DEFAULT, to_units({"CPU": 4}), [A, B, C])) == "c"


def test_a_hard_wish_for_a_node_leaves_no_other() -> None:
    assert names(wanted(Strategy(node_id=B.node_id), ONE, [A, B, C])) == "b"
    assert wanted(Strategy(node_id=B.node_id), ONE, [A, C]) == []
    assert not may(Strategy(node_id=B.node_id), A)


def test_a_soft_one_leaves_the_others_where_that_node_is_gone_or_too_small() -> None:
    soft = Strategy(node_id=B.node_id, soft=True)
    assert names(wanted(soft, ONE, [A, B, C])) == "b"
    assert names(wanted(soft, ONE, [A, C])) == "ac"
    assert names(wanted(soft, to_units({"CPU": 4}), [A, B, C])) == "c"


def test_hard_labels_choose_and_preferred_ones_choose_among_those() -> None:
    zoned = LabelRule("zone")
    assert names(wanted(Strategy(hard=(zoned,)), ONE, [A, B, C])) == "ab"
    assert names(wanted(Strategy(hard=(zoned,), preferred=(LabelRule("fast"),)), ONE, [A, B, C])) == "b"
    assert names(wanted(Strategy(hard=(zoned,), preferred=(LabelRule("gpu"),)), ONE, [A, B, C])) == "ab"


def test_the_id_of_a_node_is_a_label() -> None:
    rule = LabelRule("ray.io/node-id", (C.node_id.hex(),))
    assert names(wanted(Strategy(hard=(rule,)), ONE, [A, B, C])) == "c"


def test_what_is_spread_goes_to_one_node_after_the_other_with_room() -> None:
    nodes = [node("a"), node("b", free=1), node("c")]
    shares, after = share_out(ONE, 4, nodes)
    assert shares == {"a": 2, "b": 1, "c": 1}
    assert share_out(ONE, 4, nodes, after)[0] == {"c": 1}, "the next turn goes on where this one ended"


def test_the_words_for_nowhere_name_the_wish() -> None:
    assert why_nowhere("f", DEFAULT, ONE, [A]) == ""
    far = Strategy(hard=(LabelRule("zone", ("far",)),))
    assert "zone=far" in why_nowhere("f", far, ONE, [A])
    assert "no such node has 4 CPU" in why_nowhere("f", far, to_units({"CPU": 4}), [A, B])
