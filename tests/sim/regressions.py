"""Plans that have once shown something to be wrong, kept as files: ``regressions/NAME.json``.

A plan is kept and not its seed, for what a seed means changes with the generator.
``python -m tests.sim SEED --keep NAME`` keeps one; ``--shrink`` cuts it down before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from tests.sim.workload import Plan

FOLDER = Path(__file__).with_name("regressions")


def kept() -> list[Path]:
    """The files of all kept plans."""
    return sorted(FOLDER.glob("*.json"))


def load(path: Path | str) -> Plan:
    """Read a kept plan."""
    return msgspec.json.decode(Path(path).read_bytes(), type=Plan)


def keep(plan: Plan, name: str) -> Path:
    """Write a plan to a file."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n")
    return path


def shrink(plan: Plan, fails: Callable[[Plan], bool], rounds_max: int = 4) -> Plan:
    """Leave out of a plan what is not needed for it to fail: faults, operations of threads, operations of functions."""
    for _ in range(rounds_max):
        before = plan
        plan = structs.replace(plan, faults=_fewer(plan.faults, lambda some, p=plan: fails(_with(p, faults=some))))
        for number, threads in enumerate(plan.drivers):
            for position in range(len(threads)):
                plan = _shrink_thread(plan, number, position, fails)
        for number in range(len(plan.functions)):
            plan = _shrink_function(plan, number, fails)
        if plan == before:
            break
    return plan


def _with(plan: Plan, **parts: Any) -> Plan:
    return structs.replace(plan, **parts)


def _shrink_thread(plan: Plan, number: int, position: int, fails: Callable[[Plan], bool]) -> Plan:
    def with_body(body: tuple[Any, ...]) -> Plan:
        threads = list(plan.drivers[number])
        threads[position] = body
        drivers = list(plan.drivers)
        drivers[number] = tuple(threads)
        return _with(plan, drivers=tuple(drivers))

    return with_body(_fewer(plan.drivers[number][position], lambda some: fails(with_body(some))))


def _shrink_function(plan: Plan, number: int, fails: Callable[[Plan], bool]) -> Plan:
    def with_body(body: tuple[Any, ...]) -> Plan:
        functions = list(plan.functions)
        functions[number] = structs.replace(functions[number], body=body)
        return _with(plan, functions=tuple(functions))

    return with_body(_fewer(plan.functions[number].body, lambda some: fails(with_body(some))))


def _fewer(items: tuple[Any, ...], fails: Callable[[tuple[Any, ...]], bool]) -> tuple[Any, ...]:
    """Leave out halves, quarters, ... and single ones, as long as it still fails."""
    size = len(items)
    while size >= 1:
        at = 0
        while at < len(items):
            some = items[:at] + items[at + size :]
            if fails(some):
                items = some
            else:
                at += size
        size //= 2
    return items
