"""``raynb.util.iter``: iterators whose shards are actors; what is done with the items is done there.

Kept for programs that use it: generators (``num_returns="streaming"``) and `as_completed` do the same with less.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from raynb.runtime.api.objects import get, wait
from raynb.runtime.api.remote import make_remote
from raynb.util.iter_local import NOT_YET, LocalIterator, Patience, Source
from raynb.util.iter_metrics import SharedMetrics

__all__ = [
    "LocalIterator",
    "ParallelIterator",
    "ParallelIteratorWorker",
    "from_actors",
    "from_items",
    "from_iterators",
    "from_range",
]

Transform = Callable[[LocalIterator], LocalIterator]
Shard = tuple[Any, tuple[Transform, ...]]
"""An actor, and what it is to do with its items."""


def from_items(items: Sequence[Any], num_shards: int = 2, repeat: bool = False) -> ParallelIterator:
    """Items that are dealt out to the shards one by one; ``repeat``: over and over."""
    shards = [items[i::num_shards] for i in range(num_shards)]
    kind = type(items[0]).__name__ if items else "None"
    name = f"from_items[{kind}, {len(items)}, shards={num_shards}{_repeated(repeat)}]"
    return from_iterators(shards, repeat=repeat, name=name)


def from_range(n: int, num_shards: int = 2, repeat: bool = False) -> ParallelIterator:
    """The numbers below ``n``; each shard has a part of them in a row."""
    each = n // num_shards
    shards = [range(i * each, (i + 1) * each if i < num_shards - 1 else n) for i in range(num_shards)]
    return from_iterators(shards, repeat=repeat, name=f"from_range[{n}, shards={num_shards}{_repeated(repeat)}]")


def from_iterators(generators: Iterable[Any], repeat: bool = False, name: str | None = None) -> ParallelIterator:
    """A shard for each iterable, or function that gives one."""
    worker = make_remote(ParallelIteratorWorker, {})
    actors = [worker.remote(generator, repeat) for generator in generators]
    return from_actors(actors, name or f"from_iterators[shards={len(actors)}{_repeated(repeat)}]")


def from_actors(actors: Sequence[Any], name: str | None = None) -> ParallelIterator:
    """A shard for each actor, of a class derived from `ParallelIteratorWorker`."""
    return ParallelIterator([(actor, ()) for actor in actors], name or f"from_actors[shards={len(actors)}]")


def _repeated(repeat: bool) -> str:
    return ", repeat=True" if repeat else ""


class ParallelIteratorWorker:
    """What an actor that is a shard can do.

    Parameters
    ----------
    item_generator
        An iterable, or a function that gives one: whoever reads the shard begins anew.
    repeat
        Begin again at its end.
    """

    def __init__(self, item_generator: Any, repeat: bool) -> None:
        self.item_generator = item_generator
        self.repeat = repeat
        self._readers: dict[str, Iterator[Any]] = {}

    def _source(self, patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
        while True:
            items: Any = self.item_generator() if callable(self.item_generator) else self.item_generator
            yield from items
            if not self.repeat:
                return

    def par_iter_init(self, reader: str, transforms: Iterable[Transform], start: int = 0, step: int = 1) -> None:
        """Begin for a reader; it is given every ``step``-th item, from the one with the number ``start`` on."""
        iterator = LocalIterator(self._source, SharedMetrics(), [], "shard")
        for transform in transforms:
            iterator = transform(iterator)
        self._readers[reader] = itertools.islice(iterator, start, None, step)

    def par_iter_next_batch(self, reader: str, batch_ms: int = 0) -> tuple[list[Any], bool]:
        """The next item, with those that come within ``batch_ms``; and whether that was the end."""
        items = self._readers.get(reader)
        batch: list[Any] = []
        deadline = time.monotonic() + batch_ms / 1000
        for item in items or ():
            batch.append(item)
            if time.monotonic() >= deadline:
                return batch, False
        self._readers.pop(reader, None)
        return batch, True


class _Reading:
    """One reader's way through one shard."""

    def __init__(self, shard: Shard, batch_ms: int = 0, start: int = 0, step: int = 1) -> None:
        self.actor, transforms = shard
        self._batch_ms = batch_ms
        self._reader = uuid.uuid4().hex
        self._begun = self.actor.par_iter_init.remote(self._reader, transforms, start, step)
        """What has gone wrong there comes with the first batch."""

    def ask(self) -> Any:
        return self.actor.par_iter_next_batch.remote(self._reader, self._batch_ms)

    def answer(self, ref: Any) -> tuple[list[Any], bool]:
        if self._begun is not None:
            get(self._begun)
            self._begun = None
        items, over = get(ref)
        return items, over


class ParallelIterator:
    """Items in several actors. Each method gives a new one; nothing runs before the items are gathered.

    It can be passed to tasks and actors.
    """

    def __init__(self, shards: Sequence[Shard], name: str, united: bool = False) -> None:
        self.name = name
        self._shards = list(shards)
        self._united = united

    def __repr__(self) -> str:
        return f"ParallelIterator[{self.name}]"

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a ParallelIterator is read by gather_sync() or gather_async()")

    def _then(self, transform: Transform, name: str) -> ParallelIterator:
        shards = [(actor, (*transforms, transform)) for actor, transforms in self._shards]
        return ParallelIterator(shards, self.name + name, self._united)

    # -- steps, in the actors

    def transform(self, fn: Callable[[Iterable[Any]], Iterable[Any]]) -> ParallelIterator:
        """Have ``fn`` make an iterable of each shard's iterator."""
        return self._then(lambda items: items.transform(fn), ".transform()")

    def for_each(
        self, fn: Callable[[Any], Any], max_concurrency: int = 1, resources: dict[str, Any] | None = None
    ) -> ParallelIterator:
        """Apply a function to each item. See `LocalIterator.for_each`."""
        return self._then(lambda items: items.for_each(fn, max_concurrency, resources), ".for_each()")

    def filter(self, fn: Callable[[Any], bool]) -> ParallelIterator:
        """Keep the items of which ``fn`` is true."""
        return self._then(lambda items: items.filter(fn), ".filter()")

    def batch(self, n: int) -> ParallelIterator:
        """Lists of ``n`` items."""
        return self._then(lambda items: items.batch(n), f".batch({n})")

    def flatten(self) -> ParallelIterator:
        """The items of the items."""
        return self._then(lambda items: items.flatten(), ".flatten()")

    def combine(self, fn: Callable[[Any], Iterable[Any]]) -> ParallelIterator:
        """Apply a function that gives several items for each."""
        return self._then(lambda items: items.combine(fn), ".combine()")

    def local_shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> ParallelIterator:
        """Shuffle each shard's items. See `LocalIterator.shuffle`."""
        return self._then(
            lambda items: items.shuffle(shuffle_buffer_size, seed),
            f".local_shuffle(shuffle_buffer_size={shuffle_buffer_size}, seed={seed})",
        )

    def repartition(self, num_partitions: int, batch_ms: int = 0) -> ParallelIterator:
        """As many new shards, each with every ``num_partitions``-th item of every shard; each is read once for each."""
        shards = self._shards

        def part(index: int) -> Callable[[], Iterator[Any]]:
            def source(patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
                readings = [_Reading(shard, batch_ms, index, num_partitions) for shard in shards]
                return _as_they_come(readings, 1, patience, shared)

            return lambda: LocalIterator(source, SharedMetrics(), [], "partition")

        name = f"{self.name}.repartition[num_partitions={num_partitions}]"
        return from_iterators([part(index) for index in range(num_partitions)], name=name)

    def union(self, other: ParallelIterator) -> ParallelIterator:
        """The shards of both."""
        if not isinstance(other, ParallelIterator):
            raise TypeError(f"only ParallelIterators can be united, not {type(other)}")
        return ParallelIterator(self._shards + other._shards, f"ParallelUnion[{self!r}, {other!r}]", united=True)

    def select_shards(self, shards_to_keep: Sequence[int]) -> ParallelIterator:
        """Some of the shards."""
        if self._united:
            raise ValueError("shards can't be selected after union()")
        if not shards_to_keep:
            raise ValueError("at least one shard must be selected")
        chosen = [self._shards[index] for index in shards_to_keep]
        return ParallelIterator(chosen, f"{self.name}.select_shards({len(chosen)} total)")

    # -- gathering

    def _local(self, source: Source, name: str) -> LocalIterator:
        return LocalIterator(source, SharedMetrics(), [], name)

    def gather_sync(self) -> LocalIterator:
        """An item of each shard in turn."""
        gathered = self.batch_across_shards().flatten()
        gathered.name = f"{self!r}.gather_sync()"
        return gathered

    def batch_across_shards(self) -> LocalIterator:
        """Lists with one item of each shard that has some left."""
        shards = self._shards

        def source(patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
            return _in_turn([_Reading(shard) for shard in shards], patience)

        return self._local(source, f"{self!r}.batch_across_shards()")

    def gather_async(self, batch_ms: int = 0, num_async: int = 1) -> LocalIterator:
        """The items as they come.

        Parameters
        ----------
        batch_ms
            So long a shard collects items before it sends them.
        num_async
            How many batches each shard is asked for ahead.
        """
        _check_ahead(batch_ms, num_async)
        shards = self._shards

        def source(patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
            return _as_they_come([_Reading(shard, batch_ms) for shard in shards], num_async, patience, shared)

        return self._local(source, f"{self!r}.gather_async()")

    def take(self, n: int) -> list[Any]:
        """Up to ``n`` items, of each shard in turn."""
        return self.gather_sync().take(n)

    def show(self, n: int = 20) -> None:
        """Print up to ``n`` items."""
        self.gather_sync().show(n)

    def num_shards(self) -> int:
        return len(self._shards)

    def shards(self) -> list[LocalIterator]:
        """An iterator for each shard."""
        return [self.get_shard(index) for index in range(self.num_shards())]

    def get_shard(self, shard_index: int, batch_ms: int = 0, num_async: int = 1) -> LocalIterator:
        """One shard's items, in their order. The parameters are those of `gather_async`."""
        _check_ahead(batch_ms, num_async)
        if not 0 <= shard_index < self.num_shards():
            raise ValueError(f"there is no shard {shard_index}: there are {self.num_shards()}")
        shard = self._shards[shard_index]

        def source(patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
            return _in_order(_Reading(shard, batch_ms), num_async, patience, shared)

        return self._local(source, f"{self.name}.shard[{shard_index}]")


def _check_ahead(batch_ms: int, num_async: int) -> None:
    if num_async < 1:
        raise ValueError(f"num_async must be positive, not {num_async}")
    if batch_ms < 0:
        raise ValueError(f"batch_ms must not be negative, as {batch_ms} is")


def _in_turn(readings: list[_Reading], patience: Patience) -> Iterator[Any]:
    """Lists with the next item of each."""
    while readings:
        asked = [reading.ask() for reading in readings]
        while wait(asked, num_returns=len(asked), timeout=patience.seconds)[1]:
            yield NOT_YET
        batch, left = [], []
        for reading, ref in zip(readings, asked, strict=True):
            items, over = reading.answer(ref)
            batch += items
            if not over:
                left.append(reading)
        readings = left
        if batch:
            yield batch


def _as_they_come(readings: list[_Reading], ahead: int, patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
    asked = {reading.ask(): reading for reading in readings for _ in range(ahead)}
    while asked:
        ready, _ = wait(list(asked), timeout=patience.seconds)
        if not ready:
            yield NOT_YET
            continue
        reading = asked.pop(ready[0])
        items, over = reading.answer(ready[0])
        if not over:
            asked[reading.ask()] = reading
        for item in items:
            shared.get().current_actor = reading.actor
            yield item


def _in_order(reading: _Reading, ahead: int, patience: Patience, shared: SharedMetrics) -> Iterator[Any]:
    asked = deque(reading.ask() for _ in range(ahead))
    while asked:
        if not wait([asked[0]], timeout=patience.seconds)[0]:
            yield NOT_YET
            continue
        items, over = reading.answer(asked.popleft())
        if not over:
            asked.append(reading.ask())
        for item in items:
            shared.get().current_actor = reading.actor
            yield item
