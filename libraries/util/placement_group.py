"""``raynb.util.placement_group``: what Ray's programs import from ``ray.util.placement_group``.

In Ray, ``ray.util.placement_group`` is a function and a module, as one looks at it. Here it is a module that can be
called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Final

from raynb.differences import absent_names
from raynb.runtime.api.placement_groups import (
    STRATEGIES,
    PlacementGroup,
    check_placement_group_index,
    checked_bundles,
    checked_selectors,
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
    validate_placement_group,
)

__all__ = [
    "VALID_PLACEMENT_GROUP_STRATEGIES",
    "PlacementGroup",
    "check_placement_group_index",
    "get_current_placement_group",
    "get_placement_group",
    "placement_group",
    "placement_group_table",
    "remove_placement_group",
    "validate_placement_group",
]

VALID_PLACEMENT_GROUP_STRATEGIES: Final = frozenset(STRATEGIES)
_validate_bundles: Final = checked_bundles
_validate_bundle_label_selector: Final = checked_selectors


class _Callable(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> PlacementGroup:
        return placement_group(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Callable

__getattr__ = absent_names("util.placement_group")
