"""``raynb.util.scheduling_strategies``: what Ray's programs import from ``ray.util.scheduling_strategies``."""

from __future__ import annotations

from raynb.runtime.api.strategies import (
    DoesNotExist,
    Exists,
    In,
    LabelMatchExpression,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
    SchedulingStrategyT,
)

__all__ = [
    "DoesNotExist",
    "Exists",
    "In",
    "LabelMatchExpression",
    "NodeAffinitySchedulingStrategy",
    "NodeLabelSchedulingStrategy",
    "NotIn",
    "PlacementGroupSchedulingStrategy",
    "SchedulingStrategyT",
]
