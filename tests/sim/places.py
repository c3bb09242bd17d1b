"""Handles to placement groups, and what a task in one asks for: as `raynb.runtime.api.where` has it."""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.core.bundle_names import BUNDLE, group_name

TRACE = 0.001
"""So much of the bundle resource a task takes."""


class Group(Struct, frozen=True):
    """A handle to a placement group."""

    id: bytes
    bundles: tuple[float, ...]


class Place(Struct, frozen=True):
    """In a group; ``bundle``: in this one of it, -1: in any."""

    group: Group
    bundle: int

    def holds(self, resources: dict[str, float]) -> dict[str, float]:
        """What a task asks for there: as much of the CPU that it would take elsewhere as the bundle has."""
        bundles = self.group.bundles
        room = max(bundles) if self.bundle < 0 else bundles[self.bundle]
        cpu = min(resources.get("CPU", 0.0), room)
        found: dict[str, float] = {}
        for name, amount in {BUNDLE: TRACE, "CPU": cpu}.items():
            if amount:
                found[group_name(name, self.group.id)] = amount
                if self.bundle >= 0:
                    found[group_name(name, self.group.id, self.bundle)] = amount
        return found
