"""A look into an object, as widgets ask for it; light, so that loading the kernel extension costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raynb.runtime.adapters.registry import ClusterEntry
    from raynb.runtime.messages.screen import ObjectPreview

    LookInto = Callable[[ClusterEntry, bytes, int, tuple[int, ...]], ObjectPreview]

look_into: LookInto | None = None
"""Set by the kernel extension: the cluster, the object's id, the first row, and indices of its leading dimensions."""
