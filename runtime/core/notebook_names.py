"""Which names of a notebook hold which objects: what its kernel tells after each cell, and what the event hub keeps.

Rules
-----
1. A kernel says what it has found as a whole (`HeldBy`); only what differs from what was sent before goes to the hub.
2. At most `OBJECTS_MAX` objects of one notebook have names, those that were found first, and each `NAMES_MAX`.
3. A hub that was restarted asks for names again, and gets all of them.
4. Names of a process that has ended are forgotten: a kernel that is gone holds nothing.
5. What names held before is kept for a look at the past, the last `PAST_MAX` changes of it.
6. Where several notebooks are on the cluster, a name is said with its notebook's: ``df in analysis.ipynb``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from raynb.runtime.core.inbox import HeldBy
from raynb.runtime.messages.events import ObjectNames

OBJECTS_MAX: Final = 5_000
NAMES_MAX: Final = 8
NAME_CHARS_MAX: Final = 100
PAST_MAX: Final = 20_000


class ToldNames:
    """The kernel's side: what the hub knows, and what it has to be told."""

    def __init__(self) -> None:
        self._held: dict[bytes, list[str]] = {}
        self._told = self._held
        self._reset = False
        self._notebook = ""
        self.handlers: dict[type, Callable[[Any, float], None]] = {HeldBy: lambda item, now: self.set(item)}

    def set(self, found: HeldBy) -> None:
        """What the notebook holds by now."""
        self._held = {oid: _bounded(names) for oid, names in islice(found.names.items(), OBJECTS_MAX)}
        self._notebook = found.notebook

    @property
    def pending(self) -> bool:
        """Whether there is something to tell."""
        return self._reset or self._held is not self._told

    def take(self) -> ObjectNames | None:
        """What is to be told; the hub is taken to know it from now on."""
        reset, self._reset = self._reset, False
        before = {} if reset else self._told
        after = self._held
        self._told = after
        changed = [(oid, names) for oid, names in after.items() if before.get(oid) != names]
        changed += [(oid, []) for oid in before if oid not in after]
        return ObjectNames(changed, reset, self._notebook) if changed or reset else None

    def again(self) -> None:
        """The hub knows nothing any more."""
        self._reset = bool(self._held)


def _bounded(names: list[str]) -> list[str]:
    shown = [name if len(name) <= NAME_CHARS_MAX else f"{name[: NAME_CHARS_MAX - 1]}…" for name in names[:NAMES_MAX]]
    return [*shown, f"{len(names) - NAMES_MAX} more"] if len(names) > NAMES_MAX else shown


class _Held(NamedTuple):
    """Names that held an object, since when, and in which notebook."""

    names: list[str]
    since: float
    notebook: str

    def said(self, alone: bool) -> list[str]:
        """Rule 6."""
        return self.names if alone or not self.notebook else [f"{name} in {self.notebook}" for name in self.names]


class NotebookNames:
    """The event hub's side: the names of all notebooks, and which there were before."""

    def __init__(self) -> None:
        self._by_client: dict[str, dict[bytes, _Held]] = {}
        self._notebooks: dict[str, str] = {}
        """What the clients that have told names, and live, are called."""
        self._past: deque[tuple[bytes, _Held, float]] = deque(maxlen=PAST_MAX)
        """(object, its names, until when), the longest past first."""

    def take(self, sender: str, message: ObjectNames, wall: float) -> list[Any]:
        """A kernel tells what has changed; no effects follow."""
        mine = self._by_client.setdefault(sender, {})
        notebook = self._notebooks[sender] = message.notebook[:NAME_CHARS_MAX]
        if message.reset:
            for oid in list(mine):
                self._end(mine, oid, wall)
        for oid, names in message.changed:
            self._end(mine, oid, wall)
            if names and len(mine) < OBJECTS_MAX:
                mine[oid] = _Held(_bounded(names), wall, notebook)
        if not mine:
            del self._by_client[sender]
        return []

    def _end(self, mine: dict[bytes, _Held], oid: bytes, wall: float) -> None:
        held = mine.pop(oid, None)
        if held is not None:
            self._past.append((oid, held, wall))

    def of(self, oid: bytes) -> list[str]:
        """Who holds an object, as of each notebook's last cell."""
        alone = len(self._notebooks) < 2
        return [name for mine in self._by_client.values() if oid in mine for name in mine[oid].said(alone)]

    def at(self, wall: float) -> dict[bytes, list[str]]:
        """Who held which objects at a moment, as far as that is kept."""
        holders = [(oid, held) for oid, held, until in self._past if held.since <= wall < until]
        for mine in self._by_client.values():
            holders += [(oid, held) for oid, held in mine.items() if held.since <= wall]
        alone = len({held.notebook for _, held in holders}) < 2
        found: dict[bytes, list[str]] = {}
        for oid, held in holders:
            found.setdefault(oid, []).extend(held.said(alone))
        return found

    def client_died(self, sender: str, wall: float) -> None:
        """See rule 4."""
        self._notebooks.pop(sender, None)
        mine = self._by_client.pop(sender, {})
        for oid in list(mine):
            self._end(mine, oid, wall)

    def statistics(self) -> Mapping[str, int]:
        """Counts for tests."""
        return {"notebooks": len(self._by_client), "named": sum(map(len, self._by_client.values()))}
