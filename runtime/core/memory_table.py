"""Who refers to which objects, and how full the stores are, in the words of Ray's ``ray memory``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from raynb.runtime.core.summary import megabytes

MIB: Final = 2**20
UNITS: Final = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
SORTS: Final = {"OBJECT_SIZE": "object_size", "PID": "pid", "REFERENCE_TYPE": "reference_type"}
GROUPS: Final = {"NODE_ADDRESS": "ip", "STACK_TRACE": "call_site"}
COLUMNS: Final = (
    "IP Address", "PID", "Type", "Call Site", "Status", "Attempt", "Size", "Reference Type", "Object Ref"
)  # fmt: skip
WIDTHS: Final = (13, 8, 7, 9, 9, 8, 8, 14, 0)
KINDS: Final = {
    "LOCAL_REFERENCE": "Local References",
    "PINNED_IN_MEMORY": "Pinned",
    "USED_BY_PENDING_TASK": "Used by task",
    "CAPTURED_IN_OBJECT": "Captured in Objects",
    "ACTOR_HANDLE": "Actor Handles",
}

Rows = Sequence[Mapping[str, Any]]


class Layout(Struct, frozen=True):
    """How it is shown. ``entries``: so many rows of each group; None: all."""

    group_by: str = "NODE_ADDRESS"
    sort_by: str = "OBJECT_SIZE"
    unit: str = "B"
    entries: int | None = None

    def check(self) -> None:
        """Raise a ValueError that says what there is to choose from."""
        for name, value, known in (
            ("group_by", self.group_by, GROUPS),
            ("sort_by", self.sort_by, SORTS),
            ("units", self.unit, UNITS),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def memory_text(rows: Rows, layout: Layout) -> str:
    """The rows of all processes, in groups, each with its sums."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    column = SORTS[layout.sort_by]
    for row in sorted(rows, key=lambda row: row[column], reverse=layout.sort_by == "OBJECT_SIZE"):
        grouped.setdefault(row[GROUPS[layout.group_by]] or "unknown", []).append(row)
    group, order = (name.lower().replace("_", " ") for name in (layout.group_by, layout.sort_by))
    shown = "all" if layout.entries is None else layout.entries
    lines = [f"Grouping by {group}...        Sorting by {order}...        Display {shown} entries per group...", "", ""]
    for value, members in grouped.items():
        lines += [f"--- Summary for {group}: {value} ---", *_sums(members, layout.unit), ""]
        lines += [f"--- Object references for {group}: {value} ---", _line(COLUMNS), ""]
        lines += [_line(_cells(row, layout.unit)) for row in members[: layout.entries]]
        lines.append("")
    return "\n".join(lines)


def stores_text(nodes: Rows, objects: Rows) -> str:
    """How full the stores of these nodes are with these objects, and what of them went to disk."""
    stored = list({row["object_id"]: row for row in objects if row["state"] == "STORED"}.values())
    in_memory, on_disk = ([row for row in stored if row["on_disk"] is where] for where in (False, True))
    room = sum(row["store_capacity_bytes"] for row in nodes)
    used = sum(row["object_size"] for row in in_memory)
    full = round(100 * used / room, 2) if room else 0.0
    lines = [
        "--- Aggregate object store stats across all nodes ---",
        f"Plasma memory usage {used // MIB} MiB, {len(in_memory)} objects, {full}% full, {full}% needed",
    ]
    if on_disk:
        lines.append(f"Spilled {megabytes(on_disk):.0f} MiB, {len(on_disk)} objects")
    return "\n".join([*lines, ""])


def _sums(rows: Rows, unit: str) -> list[str]:
    heads, cells = ["Mem Used by Objects"], [_size(_bytes(rows), unit)]
    for kind, head in KINDS.items():
        some = [row for row in rows if row["reference_type"] == kind]
        heads.append(head)
        cells.append(f"{len(some)}, ({_size(_bytes(some), unit)})")
    widths = [max(len(head), len(cell)) for head, cell in zip(heads, cells, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in (heads, cells)]


def _bytes(rows: Iterable[Mapping[str, Any]]) -> int:
    return sum(max(0, row["object_size"]) for row in rows)


def _size(size: int, unit: str) -> str:
    return f"{size / UNITS[unit]} {unit}"


def _cells(row: Mapping[str, Any], unit: str) -> tuple[str, ...]:
    status = row["task_status"]
    return (
        row["ip"],
        str(row["pid"]),
        row["type"].capitalize(),
        row["call_site"] or "unknown",
        "-" if status in ("", "NIL") or row["reference_type"] == "ACTOR_HANDLE" else status,
        str(row["attempt_number"] + 1),
        _size(row["object_size"], unit) if row["object_size"] > 0 else "?",
        row["reference_type"],
        row["object_id"],
    )


def _line(cells: Iterable[str]) -> str:
    return " | ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
