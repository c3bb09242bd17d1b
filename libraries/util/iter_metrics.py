"""``raynb.util.iter_metrics``: what the functions of a `LocalIterator` count and note beside its items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any


class MetricsContext:
    """The notes of one iterator, or of several that were united; `LocalIterator.get_metrics` gives it.

    Attributes
    ----------
    counters
        Numbers that begin at 0.
    info
        Anything else.
    current_actor
        The actor that the current item came from, where the items are gathered from actors.
    """

    def __init__(self) -> None:
        self.counters: defaultdict[str, Any] = defaultdict(int)
        self.info: dict[str, Any] = {}
        self.current_actor: Any = None

    def __repr__(self) -> str:
        return f"MetricsContext(counters={dict(self.counters)}, info={self.info})"

    def save(self) -> dict[str, Any]:
        """A copy that can be pickled."""
        return {"counters": dict(self.counters), "info": dict(self.info)}

    def restore(self, values: dict[str, Any]) -> None:
        """Go back to what `save` gave."""
        self.counters.clear()
        self.counters.update(values["counters"])
        self.info = dict(values["info"])


class SharedMetrics:
    """Points to the notes of an iterator; united iterators point to the same."""

    def __init__(self, metrics: MetricsContext | None = None, parents: Iterable[SharedMetrics] = ()) -> None:
        self.parents = list(parents)
        self.metrics = metrics if metrics is not None else MetricsContext()
        self.set(self.metrics)

    def __repr__(self) -> str:
        return f"SharedMetrics({self.metrics})"

    def set(self, metrics: MetricsContext) -> None:
        """Have this one and those it was made of point to ``metrics``."""
        self.metrics = metrics
        for parent in self.parents:
            parent.set(metrics)

    def get(self) -> MetricsContext:
        return self.metrics
