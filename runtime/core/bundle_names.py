"""What the resources of placement groups are called. See `raynb.runtime.core.bundles`, rule 2; the names are Ray's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from raynb.runtime.core.placement import UNITS, Vector

BUNDLE = "bundle"
PER_BUNDLE = 1000
"""So much of the ``bundle`` resource each has; a task takes a thousandth of one."""


def group_name(resource: str, group: bytes, index: int = -1) -> str:
    """What a resource of a bundle (-1: of any) is called."""
    return f"{resource}_group_{group.hex()}" if index < 0 else f"{resource}_group_{index}_{group.hex()}"


def group_units(units: Mapping[str, int], group: bytes, index: int) -> Vector:
    """Rule 2, for a need or what there is."""
    own = {group_name(name, group): value for name, value in units.items()}
    if index >= 0:
        own.update({group_name(name, group, index): value for name, value in units.items()})
    return own


def bundle_units(units: Mapping[str, int], group: bytes, index: int) -> Vector:
    """All that a bundle is where it is committed."""
    return group_units({**units, BUNDLE: PER_BUNDLE * UNITS}, group, index)


def group_of(need: Iterable[str]) -> bytes | None:
    """The group that a vector is of; None: of none."""
    for name in need:
        if name.startswith(f"{BUNDLE}_group_"):
            return bytes.fromhex(name.rsplit("_", 1)[1])
    return None


def group_hex(need: Iterable[str]) -> str | None:
    """The same for people."""
    group = group_of(need)
    return None if group is None else group.hex()


def cpus_of(resources: Mapping[str, float]) -> float:
    """How many CPUs a task has, of a placement group or not."""
    group = group_of(resources)
    return resources.get("CPU" if group is None else group_name("CPU", group), 0)


def without_groups(units: Mapping[str, int]) -> Vector:
    """What people are shown."""
    return {name: value for name, value in units.items() if "_group_" not in name}
