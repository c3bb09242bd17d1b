"""``raynb.util.metrics``: a program's own counters, gauges and histograms, added up over all processes.

Each process tells what has changed once a second to one actor of the cluster, which `prometheus_text` asks for
everything in Prometheus' text format; `serve` has it answer Prometheus itself. What a process has counted in its last
second may be lost if it is killed.
"""

from __future__ import annotations

import threading
import time
import warnings
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final

from raynb.runtime.api.metrics_export import hub, serve
from raynb.runtime.api.metrics_text import Change, Tags, metric_name
from raynb.runtime.api.objects import get
from raynb.runtime.api.session import is_initialized

__all__ = ["Counter", "Gauge", "Histogram", "Metric", "flush", "prometheus_text", "serve"]

FLUSH_S: Final = 1.0

_lock = threading.Lock()
_changes: dict[tuple[str, Tags], Change] = {}
_kinds: dict[str, str] = {}
_flusher: threading.Thread | None = None


class Metric:
    """What counters, gauges and histograms have in common.

    Parameters
    ----------
    name
        The same name in several processes is the same metric.
    description
        For people.
    tag_keys
        Names of the tags that each value has.

    Raises
    ------
    ValueError
        The name is empty, or taken by a metric of another kind in this process.
    TypeError
        ``tag_keys`` is no tuple of strings.
    """

    KIND = ""

    def __init__(self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a metric's name must be str, got {type(name)}.")
        if not name:
            raise ValueError("Empty name is not allowed. Please provide a metric name.")
        if metric_name(name) != name:
            warnings.warn(
                f"Invalid metric name: {name}. Prometheus takes letters, digits, _ and : only, and no digit first: "
                f"it is told as {metric_name(name)}.",
                UserWarning,
                stacklevel=2,
            )
        if tag_keys is not None and not isinstance(tag_keys, tuple):
            raise TypeError(f"tag_keys should be a tuple type, got: {type(tag_keys)}")
        for key in tag_keys or ():
            _check_tag_key(key)
        kind = _kinds.setdefault(name, self.KIND)
        if kind != self.KIND:
            raise ValueError(f"the metric {name!r} is a {kind} already, it can't be a {self.KIND}")
        self._name = name
        self._description = description
        self._tag_keys = tag_keys or ()
        self._default_tags: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _kinds.setdefault(self._name, self.KIND)

    @property
    def info(self) -> dict[str, Any]:
        """Name, description, tag keys and default tags."""
        return {
            "name": self._name,
            "description": self._description,
            "tag_keys": self._tag_keys,
            "default_tags": self._default_tags,
        }

    def set_default_tags(self, default_tags: Mapping[str, str]) -> Metric:
        """Tags of values that are recorded without them. Gives the metric itself.

        Raises
        ------
        ValueError, TypeError
            A tag that the metric does not have, or a value that is no string.
        """
        for key, value in default_tags.items():
            if key not in self._tag_keys:
                raise ValueError(f"Unrecognized tag key {key}.")
            _check_tag_value(value)
        self._default_tags = dict(default_tags)
        return self

    def _tags(self, given: Mapping[str, str] | None) -> Tags:
        tags = {**self._default_tags, **(given or {})}
        for key, value in tags.items():
            _check_tag_key(key)
            _check_tag_value(value)
        missing = [key for key in self._tag_keys if key not in tags]
        if missing:
            raise ValueError(f"Missing value for tag key(s): {','.join(missing)}.")
        # Others are taken as they come, as Ray does.
        return tuple(sorted(tags.items()))

    def _change(self, tags: Tags) -> Change:
        """What is not told yet of this series; under the lock."""
        key = (self._name, tags)
        change = _changes.get(key)
        if change is None:
            change = _changes[key] = Change(self.KIND, self._name, self._description, tags)
        return change


class Counter(Metric):
    """A number that only grows."""

    KIND = "counter"

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        """Add to it.

        Raises
        ------
        ValueError
            The value is not positive, or a tag has none.
        """
        _check_number(value)
        if value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        series = self._tags(tags)
        with _lock:
            self._change(series).value += value
        _flush_soon()


class Gauge(Metric):
    """A number that goes up and down: the one that was set last counts."""

    KIND = "gauge"

    def set(self, value: float | None, tags: Mapping[str, str] | None = None) -> None:
        """Set it; None changes nothing.

        Raises
        ------
        ValueError
            A tag has no value.
        """
        if value is None:
            return
        _check_number(value)
        series = self._tags(tags)
        with _lock:
            change = self._change(series)
            change.value, change.at = float(value), time.time()
        _flush_soon()


class Histogram(Metric):
    """How often values of what size were observed.

    Parameters
    ----------
    boundaries
        Positive and ascending: the upper bounds of the classes, the last of which is open.
    """

    KIND = "histogram"

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: Sequence[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(name, description, tag_keys)
        if not boundaries:
            raise ValueError(
                "boundaries argument should be provided when using the Histogram class. e.g., "
                'Histogram("name", boundaries=[1.0, 2.0])'
            )
        for place, bound in enumerate(boundaries):
            _check_number(bound)
            if bound <= 0:
                raise ValueError(
                    f"Invalid `boundaries` argument at index {place}, {boundaries}. Use positive values for the "
                    "arguments."
                )
        self.boundaries = list(boundaries)
        self._bounds = sorted(set(map(float, boundaries)))

    @property
    def info(self) -> dict[str, Any]:
        """As `Metric.info`, with the boundaries."""
        return {**super().info, "boundaries": self.boundaries}

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Note a value.

        Raises
        ------
        ValueError
            A tag has no value.
        """
        _check_number(value)
        series = self._tags(tags)
        with _lock:
            change = self._change(series)
            if not change.bounds:
                change.bounds = self._bounds
                change.counts = [0] * (len(self._bounds) + 1)
            change.counts[bisect_left(self._bounds, value)] += 1
            change.value += value
        _flush_soon()


def _check_number(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"value must be int or float, got {type(value)}.")


def _check_tag_key(key: Any) -> None:
    if not isinstance(key, str):
        raise TypeError(f"Tag keys must be str, got {type(key)}.")


def _check_tag_value(value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"Tag values must be str, got {type(value)}.")


# -- telling


def _flush_soon() -> None:
    global _flusher
    if _flusher is not None and _flusher.is_alive():
        return
    with _lock:
        if _flusher is None or not _flusher.is_alive():
            _flusher = threading.Thread(target=_flush_now_and_then, name="raynb-metrics", daemon=True)
            _flusher.start()


def _flush_now_and_then() -> None:
    """Until there has been nothing to tell for a while."""
    while True:
        time.sleep(FLUSH_S)
        with _lock:
            idle = not _changes
        if idle:
            return
        if is_initialized():
            try:
                flush()
            except Exception as error:  # the cluster is going; what was counted is gone with it
                print(f"raynb: metrics could not be told: {error}")
                return


def flush() -> None:
    """Tell what this process has not told yet, and wait until it is noted."""
    with _lock:
        changes = list(_changes.values())
        _changes.clear()
    if changes:
        get(hub().record.remote(changes))


def prometheus_text() -> str:
    """All metrics of the cluster in Prometheus' text format, those of this process up to now."""
    flush()
    text: str = get(hub().text.remote())
    return text
