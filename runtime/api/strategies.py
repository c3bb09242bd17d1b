"""Where a task or an actor is to run: the values of the option ``scheduling_strategy``.

These classes say what is wanted, and refuse what can't be meant. Who places tasks reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Union

from raynb.runtime.messages.ids import NODE_ID_BYTES


class PlacementGroupSchedulingStrategy:
    """In a placement group.

    Parameters
    ----------
    placement_group
        The group.
    placement_group_bundle_index
        In which of its bundles; -1: in any.
    placement_group_capture_child_tasks
        Whether tasks and actors that it starts run in the group, too.
    """

    def __init__(
        self,
        placement_group: Any,
        placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:
        self.placement_group = placement_group
        self.placement_group_bundle_index = placement_group_bundle_index
        self.placement_group_capture_child_tasks = placement_group_capture_child_tasks


class NodeAffinitySchedulingStrategy:
    """On one node.

    Parameters
    ----------
    node_id
        In hex, as `nodes` has it.
    soft
        Elsewhere, where that node is gone or can't ever; otherwise it is an error.
    """

    def __init__(
        self, node_id: str, soft: bool, _spill_on_unavailable: bool = False, _fail_on_unavailable: bool = False
    ) -> None:
        if _spill_on_unavailable and not soft:
            raise ValueError(
                "_spill_on_unavailable cannot be set when soft is False. Please set soft to True to use "
                "_spill_on_unavailable."
            )
        if _fail_on_unavailable and soft:
            raise ValueError(
                "_fail_on_unavailable cannot be set when soft is True. Please set soft to False to use "
                "_fail_on_unavailable."
            )
        self.node_id = _node_id(node_id)
        self.soft = soft
        self._spill_on_unavailable = _spill_on_unavailable
        self._fail_on_unavailable = _fail_on_unavailable


NIL: Final = b"\xff" * NODE_ID_BYTES
"""Ray's id of no node."""


def _node_id(given: Any) -> str:
    text = given.hex() if hasattr(given, "hex") else given
    try:
        right = isinstance(text, str) and len(found := bytes.fromhex(text)) == NODE_ID_BYTES and found != NIL
    except ValueError:
        right = False
    if not right:
        raise ValueError(
            f"Invalid node_id {text!r}. Node ID must be a valid hex string of {2 * NODE_ID_BYTES} digits; nodes() has "
            "those of the cluster."
        )
    return str(text)


class _Values:
    """An operator with values."""

    def __init__(self, *values: str) -> None:
        kind = type(self).__name__
        if not values:
            raise ValueError(
                f"The variadic parameter of the {kind} operator must be a non-empty tuple: e.g. "
                f'{kind}("value1", "value2").'
            )
        for position, value in enumerate(values):
            if not isinstance(value, str):
                raise ValueError(
                    f"Type of value in position {position} for the {kind} operator must be str (e.g. "
                    f'{kind}("value1", "value2")) but got {value} of type {type(value)}.'
                )
        self.values = list(values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.values))})"


class In(_Values):
    """The label has one of these values."""


class NotIn(_Values):
    """The label has none of these values, or is not there."""


class Exists:
    """The label is there."""


class DoesNotExist:
    """The label is not there."""


class LabelMatchExpression:
    """A label and what is asked of it."""

    def __init__(self, key: str, operator: In | NotIn | Exists | DoesNotExist) -> None:
        self.key = key
        self.operator = operator


class NodeLabelSchedulingStrategy:
    """On nodes by their labels.

    Parameters
    ----------
    hard
        By label, what must hold: `In`, `NotIn`, `Exists`, `DoesNotExist`.
    soft
        What is preferred among those nodes.
    """

    def __init__(self, hard: Mapping[str, Any] | None, *, soft: Mapping[str, Any] | None = None) -> None:
        self.hard = _expressions(hard, "hard")
        self.soft = _expressions(soft, "soft")
        if not self.hard and not self.soft:
            raise ValueError("The `hard` and `soft` parameter of NodeLabelSchedulingStrategy cannot both be empty.")


def _expressions(given: Any, which: str) -> list[LabelMatchExpression]:
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise ValueError(f"The {which} parameter must be a map (e.g. {{'key1': In('value1')}}) but got {type(given)}.")
    found: list[LabelMatchExpression] = []
    for key, operator in given.items():
        if not isinstance(key, str):
            raise ValueError(
                f"The map key of the {which} parameter must be of type str (e.g. {{'key1': In('value1')}}) but got "
                f"{key} of type {type(key)}."
            )
        if not isinstance(operator, In | NotIn | Exists | DoesNotExist):
            raise ValueError(
                f"The map value for key {key} of the {which} parameter must be one of the `In`, `NotIn`, `Exists` or "
                f"`DoesNotExist` operator (e.g. {{'key1': In('value1')}}) but got {operator} of type {type(operator)}."
            )
        found.append(LabelMatchExpression(key, operator))
    return found


SchedulingStrategyT = Union[  # noqa: UP007 - read by programs that look into it
    None, str, PlacementGroupSchedulingStrategy, NodeAffinitySchedulingStrategy, NodeLabelSchedulingStrategy
]
