"""An iterator of this process over items that come from elsewhere, step by step.

Steps are generators over generators. An item may be `NOT_YET`: so a source says that nothing has come within the
reader's patience, and steps pass it on. It never leaves these iterators: who reads one has all the patience, but for
`LocalIterator.union`, which goes on to another source meanwhile.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from raynb.runtime.api.objects import get, wait
from raynb.runtime.api.remote import make_remote
from raynb.util.iter_metrics import MetricsContext, SharedMetrics


class NotYet:
    """A class, so that it is the same in every process."""


NOT_YET: Final = NotYet
LOOK_S: Final = 0.01
"""How long a union that has found nothing anywhere stays at each of its sources."""
WHILE_THERE_ARE: Final = "*"
"""A weight of a source of a union."""


class Patience:
    """How many seconds a source may wait for its next item; None: until it is there."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def __repr__(self) -> str:
        return f"Patience({self.seconds})"


Source = Callable[[Patience, SharedMetrics], Iterator[Any]]
Step = Callable[[Iterator[Any], Patience], Iterator[Any]]
_current = threading.local()


class LocalIterator:
    """Iterates in this process; made by the methods of `ParallelIterator`. Each method gives a new one.

    Before it is begun, it can be passed to a task.
    """

    def __init__(self, source: Source, shared: SharedMetrics, steps: Sequence[Step], name: str) -> None:
        self.name = name
        self.shared_metrics = shared
        self._source = source
        self._steps = list(steps)
        self._items: Iterator[Any] | None = None
        self._patience = Patience()

    def __repr__(self) -> str:
        return f"LocalIterator[{self.name}]"

    def __iter__(self) -> LocalIterator:
        return self

    def __next__(self) -> Any:
        return self.next_within(None)

    def next_within(self, seconds: float | None) -> Any:
        """The next item; `NOT_YET` if there is none in time. StopIteration at the end."""
        if self._items is None:
            self._items = self._source(self._patience, self.shared_metrics)
            for step in self._steps:
                self._items = step(self._items, self._patience)
        self._patience.seconds = seconds
        outer = getattr(_current, "metrics", None)
        if outer is None:
            _current.metrics = self.shared_metrics
        try:
            while (item := next(self._items)) is NOT_YET and seconds is None:
                pass
            return item
        finally:
            _current.metrics = outer

    @staticmethod
    def get_metrics() -> MetricsContext:
        """What the functions of the iterator that runs them share. ValueError outside of them."""
        shared: SharedMetrics | None = getattr(_current, "metrics", None)
        if shared is None:
            raise ValueError("there are no metrics here: get_metrics() is for functions that an iterator calls")
        return shared.get()

    def _then(self, step: Step, name: str) -> LocalIterator:
        return LocalIterator(self._source, self.shared_metrics, [*self._steps, step], self.name + name)

    # -- steps

    def transform(self, fn: Callable[[Iterable[Any]], Iterable[Any]]) -> LocalIterator:
        """Have ``fn`` make an iterable of the iterator. It is called once."""

        def step(items: Iterator[Any], patience: Patience) -> Iterator[Any]:
            return iter(fn(item for item in _insisting(items, patience)))

        return self._then(step, ".transform()")

    def for_each(
        self, fn: Callable[[Any], Any], max_concurrency: int = 1, resources: dict[str, Any] | None = None
    ) -> LocalIterator:
        """Apply a function to each item.

        Parameters
        ----------
        max_concurrency
            From 2 on: in so many tasks at once, and in the order in which they end; 0: without a limit.
        resources
            Options of these tasks.
        """
        if max_concurrency < 0:
            raise ValueError(f"max_concurrency must not be negative, as {max_concurrency} is")
        if max_concurrency == 1:
            return self._then(lambda items, _: (NOT_YET if x is NOT_YET else fn(x) for x in items), ".for_each()")

        def step(items: Iterator[Any], patience: Patience) -> Iterator[Any]:
            return _in_tasks(items, patience, make_remote(fn, resources or {}), max_concurrency)

        return self._then(step, ".for_each()")

    def filter(self, fn: Callable[[Any], bool]) -> LocalIterator:
        """Keep the items of which ``fn`` is true."""
        return self._then(lambda items, _: (x for x in items if x is NOT_YET or fn(x)), ".filter()")

    def batch(self, n: int) -> LocalIterator:
        """Lists of ``n`` items; the last may be shorter."""

        def step(items: Iterator[Any], patience: Patience) -> Iterator[Any]:
            batch: list[Any] = []
            for item in items:
                if item is NOT_YET:
                    yield item
                    continue
                batch.append(item)
                if len(batch) >= n:
                    yield batch
                    batch = []
            if batch:
                yield batch

        return self._then(step, f".batch({n})")

    def flatten(self) -> LocalIterator:
        """The items of the items."""
        return self._then(_flat, ".flatten()")

    def combine(self, fn: Callable[[Any], Iterable[Any]]) -> LocalIterator:
        """Apply a function that gives several items for each."""
        flat = self.for_each(fn).flatten()
        flat.name = self.name + ".combine()"
        return flat

    def shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> LocalIterator:
        """Each item is drawn from those that wait, of which there are at most ``shuffle_buffer_size``."""

        def step(items: Iterator[Any], patience: Patience) -> Iterator[Any]:
            dice, waiting = random.Random(seed), list[Any]()
            for item in items:
                if item is NOT_YET:
                    yield item
                    continue
                waiting.append(item)
                if len(waiting) >= shuffle_buffer_size:
                    yield waiting.pop(dice.randrange(len(waiting)))
            while waiting:
                yield waiting.pop(dice.randrange(len(waiting)))

        return self._then(step, f".shuffle(shuffle_buffer_size={shuffle_buffer_size}, seed={seed})")

    def zip_with_source_actor(self) -> LocalIterator:
        """Pairs of the actor that an item came from, and the item."""

        def pair(item: Any) -> tuple[Any, Any]:
            actor = LocalIterator.get_metrics().current_actor
            if actor is None:
                raise ValueError("it is not known which actor an item came from: it was not gathered from actors")
            return actor, item

        zipped = self.for_each(pair)
        zipped.name = self.name + ".zip_with_source_actor()"
        return zipped

    # -- ends

    def take(self, n: int) -> list[Any]:
        """Up to ``n`` of the next items."""
        return list(islice(self, n))

    def show(self, n: int = 20) -> None:
        """Print up to ``n`` of the next items."""
        for item in islice(self, n):
            print(item)

    # -- several

    def duplicate(self, n: int) -> list[LocalIterator]:
        """Iterators each of which has all the items; what one has not read yet is kept for it."""
        if n < 2:
            raise ValueError(f"there must be two copies at least, not {n}")
        kept: list[deque[Any]] = [deque() for _ in range(n)]

        def source_of(own: deque[Any]) -> Source:
            def source(patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
                while True:
                    if own:
                        yield own.popleft()
                    elif patience.seconds is not None and any(kept):
                        yield NOT_YET  # it is the foremost: the others may catch up
                    else:
                        try:
                            item = self.next_within(patience.seconds)
                        except StopIteration:
                            return
                        for queue in kept if item is not NOT_YET else ():
                            queue.append(item)
                        if item is NOT_YET:
                            yield item

            return source

        return [
            LocalIterator(source_of(own), self.shared_metrics, [], f"{self.name}.duplicate[{i}]")
            for i, own in enumerate(kept)
        ]

    def union(
        self, *others: LocalIterator, deterministic: bool = False, round_robin_weights: list[Any] | None = None
    ) -> LocalIterator:
        """The items of several iterators, in turn.

        Parameters
        ----------
        deterministic
            Wait for the next item of each; else one that has none yet is passed over.
        round_robin_weights
            How many items each gives at its turn; ``"*"``: as long as it has some.
        """
        parts = [self, *others]
        for part in others:
            if not isinstance(part, LocalIterator):
                raise ValueError(f"only LocalIterators can be united, not {type(part)}")
        weights = round_robin_weights or [1] * len(parts)
        if len(weights) != len(parts):
            raise ValueError(f"there are {len(weights)} weights for {len(parts)} iterators")
        if deterministic and WHILE_THERE_ARE in weights:
            raise ValueError(f"the weight {WHILE_THERE_ARE!r} needs deterministic=False")

        def source(patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
            return _united(list(zip(parts, weights, strict=True)), None if deterministic else patience)

        shared = SharedMetrics(parents=[part.shared_metrics for part in parts])
        return LocalIterator(source, shared, [], f"LocalUnion[{', '.join(map(repr, parts))}]")


def _insisting(items: Iterator[Any], patience: Patience) -> Iterator[Any]:
    """For a step that knows nothing of `NOT_YET`."""
    while True:
        patience.seconds = None
        try:
            item = next(items)
        except StopIteration:
            return
        if item is not NOT_YET:
            yield item


def _flat(items: Iterator[Any], patience: Patience) -> Iterator[Any]:
    for item in items:
        if item is NOT_YET:
            yield item
        else:
            yield from item


def _in_tasks(items: Iterator[Any], patience: Patience, task: Any, at_once: int) -> Iterator[Any]:
    """What tasks make of the items, as they end; at most ``at_once`` run, or any number of them."""
    running: list[Any] = []
    more = True
    while more or running:
        while more and (at_once == 0 or len(running) < at_once):
            try:
                item = next(items)
            except StopIteration:
                more = False
                break
            if item is NOT_YET:
                break
            running.append(task.remote(item))
        if not running:
            if more:
                yield NOT_YET
            continue
        ready, running = wait(running, timeout=patience.seconds)
        yield get(ready[0]) if ready else NOT_YET


def _united(parts: list[tuple[LocalIterator, Any]], patience: Patience | None) -> Iterator[Any]:
    """``patience`` is that of the reader; None: each part is waited for."""
    seconds: float | None = None if patience is None else 0.0
    while parts:
        found = False
        for part in list(parts):
            iterator, weight = part
            given = 0
            while weight == WHILE_THERE_ARE or given < weight:
                try:
                    item = iterator.next_within(seconds)
                except StopIteration:
                    parts.remove(part)
                    break
                if item is NOT_YET:
                    break
                found, given = True, given + 1
                yield item
        if patience is not None:
            if not found and parts and patience.seconds is not None:
                yield NOT_YET
            seconds = 0.0 if found else LOOK_S
