"""Metrics, and how Prometheus reads them: its text format, version 0.0.4."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

Tags = tuple[tuple[str, str], ...]
"""Names and values, sorted."""


@dataclass
class Change:
    """What has happened to one series of a metric since it was told last.

    Attributes
    ----------
    value
        For a counter what was added, for a gauge what it is, for a histogram the sum of what was observed.
    at
        When a gauge was set, in wall-clock seconds.
    bounds, counts
        Of a histogram: classes, and how many values fell into each.
    """

    kind: str
    name: str
    description: str
    tags: Tags
    value: float = 0.0
    at: float = 0.0
    bounds: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


def text_of(changes: Iterable[Change]) -> str:
    """Metrics in Prometheus' text format."""
    series: dict[str, list[Change]] = {}
    for change in changes:
        series.setdefault(change.name, []).append(change)
    lines: list[str] = []
    for name, mine in sorted(series.items()):
        shown, first = metric_name(name), mine[0]
        if first.description:
            lines.append(f"# HELP {shown} {_escaped(first.description)}")
        lines.append(f"# TYPE {shown} {first.kind}")
        for each in sorted(mine, key=lambda change: change.tags):
            lines += _histogram(shown, each) if first.kind == "histogram" else [_plain(shown, each)]
    return "".join(f"{line}\n" for line in lines)


def as_exported(change: Change) -> Change:
    """Under the name that Ray exports."""
    name = f"ray_{change.name}"
    if change.kind == "counter" and not name.endswith("_total"):
        name += "_total"
    return replace(change, name=name)


def _plain(name: str, series: Change) -> str:
    return f"{name}{_labels(series.tags)} {number(series.value)}"


def _histogram(name: str, series: Change) -> list[str]:
    lines, below = [], 0
    for bound, count in zip([*map(number, series.bounds), "+Inf"], series.counts, strict=True):
        below += count
        lines.append(f"{name}_bucket{_labels((*series.tags, ('le', bound)))} {below}")
    return [
        *lines,
        f"{name}_sum{_labels(series.tags)} {number(series.value)}",
        f"{name}_count{_labels(series.tags)} {below}",
    ]


def metric_name(name: str) -> str:
    """With what Prometheus does not take replaced by an underscore."""
    clean = re.sub(r"[^a-zA-Z0-9_:]", "_", name)
    return f"_{clean}" if clean[0].isdigit() else clean


def number(value: float) -> str:
    """Whole ones without a point."""
    if not math.isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def _labels(tags: Tags) -> str:
    if not tags:
        return ""
    shown = ",".join(f'{metric_name(key).replace(":", "_")}="{_quoted(value)}"' for key, value in tags)
    return f"{{{shown}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
