"""The actor that adds up the metrics of a cluster, and serves them where it is asked to."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from raynb.runtime.api.cluster_metrics import cluster_changes
from raynb.runtime.api.metrics_server import MetricsServer
from raynb.runtime.api.metrics_text import Change, Tags, as_exported, text_of

SERIES_MAX: Final = 100_000
"""More series are not kept: tags with endless values would fill the memory."""
DROPPED: Final = "raynb_metrics_dropped"


class MetricsHub:
    """Adds up what all processes tell."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Tags, Change]] = {}
        self._count = 0
        self._dropped = 0
        self._lock = threading.Lock()
        self._server: MetricsServer | None = None

    def serve(self, port: int) -> int:
        """Answer Prometheus at ``http://127.0.0.1:port/metrics``; 0: at any port that is free. Gives the port, which is
        that of an earlier call if there was one.

        Raises
        ------
        OSError
            Somebody else has it.
        """
        if self._server is None:
            self._server = MetricsServer(port, self.exported)
        return self._server.port

    def record(self, changes: list[Change]) -> None:
        """Add these."""
        with self._lock:
            self._record(changes)

    def _record(self, changes: list[Change]) -> None:
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
        """In Prometheus' text format."""
        return text_of(self._known())

    def exported(self) -> str:
        """The same under the names that Ray exports, after what is told of the cluster itself."""
        return text_of(map(as_exported, [*cluster_changes(), *self._known()]))

    def _known(self) -> list[Change]:
        with self._lock:
            known = [replace(change) for series in self._series.values() for change in series.values()]
            dropped = self._dropped
        return [*known, Change("counter", DROPPED, "", (), dropped)] if dropped else known
