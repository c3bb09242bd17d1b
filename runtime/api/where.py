"""Where a task or an actor may run: its options, as a strategy and as resources that only some bundles have."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from raynb.runtime.api.strategies import (
    DoesNotExist,
    LabelMatchExpression,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
)
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import Execution
from raynb.runtime.client.ids import PlacementGroupID
from raynb.runtime.core.bundle_names import BUNDLE, group_name, group_of
from raynb.runtime.core.strategies import labels_of as labels_of_node
from raynb.runtime.messages.strategy import LabelRule, Strategy

TRACE: Final = 0.001
"""So much of a resource that only says where."""


class Captured(NamedTuple):
    """The placement group of the task that calls. Its bundles are not looked at: what does not fit waits."""

    id: PlacementGroupID
    is_empty: bool = False
    bundle_specs: None = None


class Where(NamedTuple):
    """Resources to ask for, the strategy (None: the default one), and whether what the task starts runs in its
    placement group, too."""

    resources: dict[str, float]
    strategy: Strategy | None = None
    captures: bool = False


def group_strategy(options: Mapping[str, Any]) -> PlacementGroupSchedulingStrategy | None:
    """The placement group that options ask for, in the new way or the older one."""
    strategy = options.get("scheduling_strategy")
    group = options.get("placement_group", "default")
    if strategy is not None and group not in ("default", None):
        raise ValueError(
            "Placement groups should be specified via the scheduling_strategy option. The placement_group option is "
            "deprecated."
        )
    if isinstance(strategy, PlacementGroupSchedulingStrategy):
        return strategy
    if group in ("default", None):
        if options.get("placement_group_bundle_index", -1) != -1:
            raise ValueError("If placement group is not set, the value of bundle index must be -1.")
        return None
    warnings.warn(
        "placement_group parameter is deprecated. Use scheduling_strategy=PlacementGroupSchedulingStrategy(...)",
        DeprecationWarning,
        stacklevel=5,  # of `.remote()`
    )
    return PlacementGroupSchedulingStrategy(
        group,
        options.get("placement_group_bundle_index", -1),
        options.get("placement_group_capture_child_tasks"),
    )


def says_where(options: Mapping[str, Any]) -> bool:
    """Whether options choose a place: then nothing is inherited from the task that calls."""
    return options.get("scheduling_strategy") is not None or options.get("placement_group", "default") != "default"


def captured_by(execution: Execution | None) -> bytes | None:
    """The placement group in which what this task starts runs, too."""
    return group_of(execution.resources) if execution is not None and execution.captures else None


def in_group(group: bytes) -> PlacementGroupSchedulingStrategy:
    """The strategy of what is started by a task of this group that has such captured."""
    return PlacementGroupSchedulingStrategy(Captured(PlacementGroupID(group)), placement_group_capture_child_tasks=True)


def where(options: Mapping[str, Any], resources: dict[str, float], placing_cpus: float = 0) -> Where:
    """The place of a task or an actor with these options and needs.

    Parameters
    ----------
    placing_cpus
        What else a bundle must have where no CPUs are asked for.

    Raises
    ------
    ValueError
        A bundle that the group does not have, or that can never hold it.
    """
    asked = dict(resources)
    accelerator = options.get("accelerator_type")
    if accelerator:
        asked[f"accelerator_type:{accelerator}"] = TRACE
    grouped = group_strategy(options)
    if grouped is None or grouped.placement_group is None or grouped.placement_group.is_empty:
        return Where(asked, _strategy(options))
    captures = bool(grouped.placement_group_capture_child_tasks)
    group, index = grouped.placement_group, grouped.placement_group_bundle_index
    if group.bundle_specs is not None:
        _check_bundle(group, index, {"CPU": placing_cpus, **asked} if placing_cpus else asked)
    return Where(_in_group(group.id.binary(), index, asked), _strategy(options), captures)


def _strategy(options: Mapping[str, Any]) -> Strategy | None:
    """As it travels; None: the default one."""
    labels = label_rules(options.get("label_selector"))
    strategy = _with_labels(options.get("scheduling_strategy"), labels)
    others = options.get("fallback_strategy")
    if strategy is None or not labels or not others:
        return strategy
    rest = strategy.hard[len(labels) :]
    choices = (label_rules(other["label_selector"]) for other in others)
    return msgspec.structs.replace(strategy, fallbacks=tuple((*choice, *rest) for choice in choices))


def _with_labels(given: Any, labels: tuple[LabelRule, ...]) -> Strategy | None:
    if isinstance(given, NodeAffinitySchedulingStrategy):
        return Strategy(
            node_id=bytes.fromhex(given.node_id),
            soft=bool(given.soft),
            spills=bool(given._spill_on_unavailable),
            fails=bool(given._fail_on_unavailable),
            hard=labels,
        )
    if isinstance(given, NodeLabelSchedulingStrategy):
        return Strategy(hard=(*labels, *map(_rule, given.hard)), preferred=tuple(map(_rule, given.soft)))
    if given == "SPREAD":
        return Strategy(spread=True, hard=labels)
    return Strategy(hard=labels) if labels else None


def label_rules(given: Mapping[str, str] | None) -> tuple[LabelRule, ...]:
    """A ``label_selector`` as it travels."""
    return tuple(_selected(key, wanted) for key, wanted in (given or {}).items())


def _rule(expression: LabelMatchExpression) -> LabelRule:
    operator = expression.operator
    values = tuple(getattr(operator, "values", ()))
    return LabelRule(expression.key, values, isinstance(operator, NotIn | DoesNotExist))


def _selected(key: str, wanted: str) -> LabelRule:
    """An entry of a ``label_selector``: ``v``, ``!v``, ``in(v, w)`` or ``!in(v, w)``."""
    values = wanted.removeprefix("!")
    if values.startswith("in(") and values.endswith(")"):
        found = tuple(one.strip() for one in values[3:-1].split(","))
    else:
        found = (values,)
    return LabelRule(key, found, wanted.startswith("!"))


def _in_group(group_id: bytes, index: int, asked: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, amount in {BUNDLE: TRACE, **asked}.items():
        found[group_name(name, group_id)] = amount
        if index >= 0:
            found[group_name(name, group_id, index)] = amount
    return found


def _check_bundle(group: Any, index: int, asked: Mapping[str, float]) -> None:
    bundles = group.bundle_specs
    if not isinstance(index, int) or index < -1 or index >= len(bundles):
        raise ValueError(
            f"placement group bundle index {index} is invalid. Valid placement group indexes: 0-{len(bundles) - 1}"
        )
    chosen = bundles if index < 0 else [bundles[index]]
    if not any(all(bundle.get(name, 0) >= amount for name, amount in asked.items()) for bundle in chosen):
        raise ValueError(
            f"Cannot schedule this in the placement group {group.id.hex()}, because the resource request {asked} "
            f"cannot fit into any bundles for the placement group, {chosen}."
        )


def shown(resources: Mapping[str, float]) -> dict[str, float]:
    """What of a task's resources a program is told: a bundle's CPU is CPU."""
    group = group_of(resources)
    if group is None:
        return dict(resources)
    end = group_name("", group)
    plain = {name.removesuffix(end): amount for name, amount in resources.items() if name.endswith(end)}
    return {name: amount for name, amount in plain.items() if name != BUNDLE and "_group_" not in name}


def labels_of(client: Client) -> dict[str, str]:
    """The labels of this process's node."""
    return labels_of_node(client.joined.node_id, client.joined.labels)
