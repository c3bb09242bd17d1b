"""What a node's store notes for the event hub: who waited for room, what went to disk, what came and went.

Rules
-----
1. Whoever does something that lasts calls `began` and later `ended`; what is over at once is a `note`. A wait, spill or
   transfer shorter than `TOLD_S_MIN` that did not fail is not worth telling.
2. What lasts is told once while it lasts, and again when it has ended.
3. Of each object it is told when it was complete and when it was freed. Where more has happened than is kept until
   somebody takes it (the GCS is away, say), all objects that are there are told anew instead, up to `OBJECTS_MAX`.
4. Nothing here decides anything. Times are the machine's; they become wall-clock times when they are told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import count, islice
from typing import Final, Protocol

from msgspec import Struct

from raynb.runtime.messages.events import FAILED, FINISHED, RUNNING
from raynb.runtime.messages.objects import is_spilled
from raynb.runtime.messages.store_events import StoredObjects, StoreEvents
from raynb.runtime.messages.values import ValueKind

TOLD_S_MIN: Final = 0.001
EVENTS_MAX: Final = 5_000
"""Of one message."""
OBJECTS_MAX: Final = 20_000
WHO_CHARS_MAX: Final = 200


class Made(Protocol):
    """An object in the store."""

    oid: bytes
    owner: str
    segment: str
    size: int
    note: str
    made: float
    kind: ValueKind | None


class _Event(Struct):
    number: int
    kind: int
    oid: bytes
    size: int
    other: str
    who: str
    started: float
    ended: float = 0.0
    state: int = RUNNING
    told: bool = False


class StoreLog:
    """See the module's rules.

    Attributes
    ----------
    now
        The time of the event that the store's machine handles.
    names
        By address: what the processes of this node are called, for people.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.names: dict[str, str] = {}
        self._number = count(1).__next__
        self._open: dict[int, _Event] = {}
        self._untold: list[_Event] = []
        self._ended: list[_Event] = []
        self._dropped = 0
        self._made: dict[bytes, Made] = {}
        self._freed: dict[bytes, float] = {}
        self._again = False

    def __repr__(self) -> str:
        return f"<StoreLog {len(self._open)} under way, {len(self._ended)} ended, {len(self._made)} objects>"

    # -- what happens

    def began(self, kind: int, size: int, oid: bytes = b"", *, who: str = "") -> int:
        """Something begins that lasts (see `StoreEvents`); gives the number to end it by."""
        event = _Event(self._number(), kind, oid, size, "", self._called(who), self.now)
        self._open[event.number] = event
        self._untold.append(event)
        return event.number

    def comes_from(self, number: int, other: str) -> None:
        """A transfer is from this node manager, from now on."""
        event = self._open.get(number)
        if event is not None:
            event.other = other

    def ended(self, number: int, failed: str = "") -> None:
        """It is over; ``failed`` says why it came to nothing. Idempotent."""
        event = self._open.pop(number, None)
        if event is None:
            return
        if self._untold and self._untold[-1] is event:
            self._untold.pop()
        event.ended = self.now
        event.state = FAILED if failed else FINISHED
        event.who = failed[:WHO_CHARS_MAX] or event.who
        if event.told or failed or event.ended - event.started >= TOLD_S_MIN:
            self._keep(event)

    def note(self, kind: int, size: int, oid: bytes = b"", *, since: float | None = None, who: str = "") -> None:
        """Something has happened: just now, or from ``since`` until now."""
        started = self.now if since is None else since
        event = _Event(self._number(), kind, oid, size, "", self._called(who), started, self.now, FINISHED)
        self._keep(event)

    def _called(self, who: str) -> str:
        return self.names.get(who, who)[:WHO_CHARS_MAX]

    def _keep(self, event: _Event) -> None:
        if len(self._ended) < EVENTS_MAX:
            self._ended.append(event)
        else:
            self._dropped += 1

    def made(self, entry: Made) -> None:
        """An object is complete."""
        self._freed.pop(entry.oid, None)
        self._made[entry.oid] = entry
        self._bound()

    def freed(self, oid: bytes) -> None:
        """An object is gone."""
        self._freed[oid] = self.now
        self._bound()

    def _bound(self) -> None:
        if len(self._made) + len(self._freed) > 2 * OBJECTS_MAX:
            self.again()

    def again(self) -> None:
        """The hub knows nothing (any more): tell all that there is."""
        self._again = True
        self._made.clear()
        self._freed.clear()
        for event in self._open.values():
            event.told = False
        self._untold = list(self._open.values())

    # -- what is told

    def take(self, offset_s: float, there: Collection[Made]) -> list[StoreEvents | StoredObjects]:
        """The news. ``offset_s`` makes the machine's time wall-clock time; ``there`` are all objects."""
        news: list[StoreEvents | StoredObjects] = []
        events = [event for event in self._untold if self._lasts(event)]
        self._untold = [event for event in self._untold if not event.ended and not event.told]
        events += self._ended
        self._ended = []
        if events:
            news.append(self._events(events, offset_s))
        if self._again or self._made or self._freed:
            news.append(self._objects(offset_s, there))
        return news

    def _lasts(self, event: _Event) -> bool:
        event.told = not event.ended and self.now - event.started >= TOLD_S_MIN
        return event.told

    def _events(self, events: list[_Event], offset_s: float) -> StoreEvents:
        return StoreEvents(
            numbers=[event.number for event in events],
            kinds=bytes(event.kind for event in events),
            states=bytes(event.state for event in events),
            objects=[event.oid for event in events],
            sizes=[event.size for event in events],
            others=[event.other for event in events],
            who=[event.who for event in events],
            started=[event.started + offset_s for event in events],
            ended=[event.ended + offset_s if event.ended else 0.0 for event in events],
            dropped=self._dropped,
        )

    def _objects(self, offset_s: float, there: Collection[Made]) -> StoredObjects:
        reset, self._again = self._again, False
        made: Iterable[Made] = self._made.values()
        if reset:
            made = islice(there, max(0, len(there) - OBJECTS_MAX), None)
        entries = list(made)
        texts: dict[str, int] = {}

        def position(text: str) -> int:
            return texts.setdefault(text, len(texts))

        message = StoredObjects(
            made=[entry.oid for entry in entries],
            at=[entry.made + offset_s for entry in entries],
            sizes=[entry.size for entry in entries],
            owners=[position(entry.owner) for entry in entries],
            notes=[position(entry.note) for entry in entries],
            kinds=[entry.kind for entry in entries],
            on_disk=bytes(is_spilled(entry.segment) for entry in entries),
            texts=list(texts),
            freed=list(self._freed),
            freed_at=[at + offset_s for at in self._freed.values()],
            reset=reset,
        )
        self._made, self._freed = {}, {}
        return message

    @property
    def pending(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._untold or self._ended or self._made or self._freed or self._again)
