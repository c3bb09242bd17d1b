"""The actor that adds up the metrics of a cluster, and writes them down."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final

Tags = tuple[tuple[str, str], ...]
"""Names and values, sorted."""

SERIES_MAX: Final = 100_000
"""More series are not kept: tags with endless values would fill the memory."""
DROPPED: Final = "raynb_metrics_dropped"


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


class MetricsHub:
    """Adds up what all processes tell."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Tags, Change]] = {}
        self._count = 0
        self._dropped = 0

    def record(self, changes: list[Change]) -> None:
        """Add these."""
        for change in changes:
            series = self._series.setdefault(change.name, {})
            present = series.get(change.tags)
            if present is None and self._count < SERIES_MAX:
                series[change.tags] = change
                self._count += 1
            elif present is None or (present.kind, present.bounds) != (change.kind, change.bounds):
                self._dropped += 1
            elif change.kind == "gauge":
                if change.at >= present.at:
                    series[change.tags] = change
            else:
                present.value += change.value
                present.counts = [a + b for a, b in zip(present.counts, change.counts, strict=True)]

    def text(self) -> str:
        """In Prometheus' text format, version 0.0.4."""
        lines: list[str] = []
        for name in sorted(self._series):
            series = self._series[name]
            if not series:
                continue
            first = next(iter(series.values()))
            shown = metric_name(name)
            if first.description:
                lines.append(f"# HELP {shown} {_escaped(first.description)}")
            lines.append(f"# TYPE {shown} {first.kind}")
            for tags in sorted(series):
                lines += _histogram(shown, series[tags]) if first.kind == "histogram" else [_plain(shown, series[tags])]
        if self._dropped:
            lines += [f"# TYPE {DROPPED} counter", f"{DROPPED} {self._dropped}"]
        return "".join(f"{line}\n" for line in lines)


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
