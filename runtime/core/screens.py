"""The event hub's screens: who looks at what, and what has changed of it.

A *guest* (a Jupyter server) serves several *screens* (browsers' windows), which subscribe to views. Whoever asks for
the same view shares it: it is looked at and encoded once.

Rules
-----
1. A view is looked at when something may have changed, at most every `PAUSE_S`, and less often the more rows that
   takes (`ROW_PAUSE_S` a row) and the more it then has to say (`BYTES_S`): all views together take a bounded share of
   the GCS and of the line. In one tick at most `ROWS_A_TICK` rows are looked at.
2. Nobody waits for a screen. What it has not taken in yet is bounded by `WINDOW_BYTES`; then it is sent nothing, and
   once it has taken that in, a whole snapshot of each view that has changed meanwhile.
3. A screen that was silent for `SCREEN_SILENCE_S` is gone, and so are all of a guest that has left.
4. What can't be served is refused in words (`Refused`, `Done.error`); it costs nobody else anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_effects import Say
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.core.live_view import LiveView
from raynb.runtime.messages import screen
from raynb.runtime.messages.gcs import SCREEN_SILENCE_S, ScreenRequest, ScreenTold

PAUSE_S: Final = 0.2
ROW_PAUSE_S: Final = 10e-6
BYTES_S: Final = 1_000_000
"""Of one view."""
ROWS_A_TICK: Final = 200_000
WINDOW_BYTES: Final = 2 * 1024 * 1024
REQUEST_BYTES_MAX: Final = 64 * 1024
SCREENS_MAX: Final = 64
SUBSCRIPTIONS_MAX: Final = 32
"""Of one screen."""

ScreenKey = tuple[str, int]
"""The guest's address, and its number of the screen."""

BEHIND: Final = -1
"""In place of a number: the next that is sent is a snapshot."""


@dataclass(slots=True)
class _Shared:
    """A view with all who look at it."""

    key: bytes
    live: LiveView
    seqs: dict[tuple[ScreenKey, int], int] = field(default_factory=dict)
    """Who, by what number of theirs: the number of what was sent last."""
    stamp: object = None
    looked: bool = False
    due: float = 0.0
    whole: bytes = b""
    """JSON of the state, once somebody needed it; empty since it changed."""


@dataclass(slots=True)
class _Screen:
    """A browser's window."""

    heard: float
    sent: int = 0
    taken: int = 0
    views: dict[int, _Shared] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether there is room for more."""
        return self.sent - self.taken < WINDOW_BYTES


class Screens:
    """See the module's rules.

    Parameters
    ----------
    view
        Makes a view that is asked for, or raises ``ValueError``.
    act
        Does what a screen asks for; the answer is told by `done`.
    """

    def __init__(
        self,
        view: Callable[[screen.View], LiveView],
        act: Callable[[ScreenKey, screen.Act, float], Effects],
        cluster: str,
        version: str,
    ) -> None:
        self._view = view
        self._act = act
        self._welcome = msgspec.json.encode(screen.Welcome(screen.SCREEN_PROTOCOL, version, cluster))
        self._screens: dict[ScreenKey, _Screen] = {}
        self._shared: dict[bytes, _Shared] = {}
        self._rows = 0
        """Looked at since the last tick."""

    def __repr__(self) -> str:
        return f"<Screens {len(self._screens)} screens, {len(self._shared)} views>"

    @property
    def waiting(self) -> bool:
        """Whether anybody looks."""
        return bool(self._screens)

    # -- what screens say

    def request(self, guest: str, message: ScreenRequest, now: float, wall: float) -> Effects:
        """A guest speaks for one of its screens."""
        key = (guest, message.screen)
        if message.taken < 0:
            self._forget(key)
            return []
        found = self._screens.get(key)
        effects: Effects = []
        if found is None:
            if len(self._screens) >= SCREENS_MAX:
                text = f"{SCREENS_MAX} windows look at this cluster already: close one"
                return [Send(guest, ScreenTold(message.screen, msgspec.json.encode(screen.Refused(0, text))))]
            found = self._screens[key] = _Screen(now)
            effects += self._tell(key, self._welcome)
        found.heard = now
        was_open = found.open
        found.taken = max(found.taken, min(message.taken, found.sent))
        if message.data:
            effects += self._on_data(key, found, message.data, now, wall)
        if found.open and not was_open:
            effects += self._catch_up(key, found)
        return effects

    def _on_data(self, key: ScreenKey, found: _Screen, data: bytes, now: float, wall: float) -> Effects:
        try:
            if len(data) > REQUEST_BYTES_MAX:
                raise ValueError(f"a request has at most {REQUEST_BYTES_MAX} bytes")
            request = _decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            return self._tell(key, msgspec.json.encode(screen.Refused(_number(data), str(error))))
        match request:
            case screen.Subscribe(id, view):
                return self._subscribe(key, found, id, view, now, wall)
            case screen.Unsubscribe(id):
                self._unsubscribe(key, found, id)
                return []
            case screen.Act():
                return self._act(key, request, now)

    def _subscribe(
        self, key: ScreenKey, found: _Screen, number: int, view: screen.View, now: float, wall: float
    ) -> Effects:
        self._unsubscribe(key, found, number)
        try:
            if len(found.views) >= SUBSCRIPTIONS_MAX:
                raise ValueError(f"one window looks at {SUBSCRIPTIONS_MAX} things at most")
            encoded = msgspec.json.encode(view)
            shared = self._shared.get(encoded)
            if shared is None:
                shared = _Shared(encoded, self._view(view))
                self._shared[encoded] = shared
        except ValueError as error:
            return self._tell(key, msgspec.json.encode(screen.Refused(number, str(error))))
        shared.seqs[key, number] = BEHIND
        found.views[number] = shared
        if not shared.looked:
            return self._look(shared, now, wall) if self._rows < ROWS_A_TICK else []
        return self._tell_state(shared, (key, number), None)

    def _unsubscribe(self, key: ScreenKey, found: _Screen, number: int) -> None:
        shared = found.views.pop(number, None)
        if shared is not None:
            del shared.seqs[key, number]
            if not shared.seqs:
                del self._shared[shared.key]

    # -- the end of screens

    def _forget(self, key: ScreenKey) -> None:
        found = self._screens.get(key)
        if found is not None:
            for number in list(found.views):
                self._unsubscribe(key, found, number)
            del self._screens[key]

    def forget_guest(self, guest: str) -> None:
        """It has left, or is dead."""
        for key in [key for key in self._screens if key[0] == guest]:
            self._forget(key)

    # -- what is told

    def tick(self, now: float, wall: float) -> Effects:
        """Look at what is due, the longest due first."""
        for key in [key for key, found in self._screens.items() if now - found.heard > SCREEN_SILENCE_S]:
            self._forget(key)
        effects: Effects = []
        self._rows = 0
        for shared in sorted(self._shared.values(), key=lambda shared: shared.due):
            if shared.due > now or self._rows >= ROWS_A_TICK:
                break
            effects += self._look(shared, now, wall)
        return effects

    def _look(self, shared: _Shared, now: float, wall: float) -> Effects:
        stamp = shared.live.stamp()
        if stamp == shared.stamp and shared.looked:
            shared.due = now + PAUSE_S
            return []
        try:
            delta = shared.live.refresh(wall)
        except Exception as error:
            return self._broken(shared, error)
        first, shared.looked, shared.stamp = not shared.looked, True, stamp
        shared.due = now + max(PAUSE_S, shared.live.cost * ROW_PAUSE_S)
        self._rows += shared.live.cost
        if delta is None and not first:
            return []
        shared.whole = b""
        encoded = None if delta is None else msgspec.json.encode(delta)
        if encoded is not None:
            shared.due = max(shared.due, now + len(encoded) / BYTES_S)
        effects: Effects = []
        for who in shared.seqs:
            effects += self._tell_state(shared, who, encoded)
        return effects

    def _broken(self, shared: _Shared, error: Exception) -> Effects:
        """A fault of ours costs this view, and not the cluster its control store."""
        text = f"this view failed in the cluster: {type(error).__name__}: {error}"
        effects: Effects = [Say("error", f"{text}; asked for by {shared.key.decode()}")]
        for key, number in list(shared.seqs):
            self._unsubscribe(key, self._screens[key], number)
            effects += self._tell(key, msgspec.json.encode(screen.Refused(number, text)))
        return effects

    def _tell_state(self, shared: _Shared, who: tuple[ScreenKey, int], delta: bytes | None) -> Effects:
        """A delta, or a snapshot for who is behind."""
        key, number = who
        if not self._screens[key].open:
            shared.seqs[who] = BEHIND
            return []
        seq = shared.seqs[who] = shared.seqs[who] + 1
        if seq and delta is not None:
            told: screen.Told = screen.Delta(number, seq, cast(Any, msgspec.Raw(delta)))
        else:
            shared.seqs[who] = 0
            if not shared.whole:
                shared.whole = msgspec.json.encode(shared.live.whole())
            told = screen.Snapshot(number, cast(Any, msgspec.Raw(shared.whole)))
        return self._tell(key, msgspec.json.encode(told))

    def _catch_up(self, key: ScreenKey, found: _Screen) -> Effects:
        """It has taken in what it was sent: now the newest of what it has missed."""
        effects: Effects = []
        for number, shared in found.views.items():
            if shared.seqs[key, number] == BEHIND:
                effects += self._tell_state(shared, (key, number), None)
        return effects

    def _tell(self, key: ScreenKey, data: bytes) -> Effects:
        found = self._screens.get(key)
        if found is None:
            return []
        found.sent += len(data)
        guest, number = key
        return [Send(guest, ScreenTold(number, data))]

    def done(self, key: ScreenKey, number: int, error: str = "") -> Effects:
        """What was asked for is done, or why it is not."""
        return self._tell(key, msgspec.json.encode(screen.Done(number, error)))

    # -- for tests

    def statistics(self) -> dict[str, int]:
        """Counts."""
        return {
            "screens": len(self._screens),
            "views": len(self._shared),
            "subscriptions": sum(len(found.views) for found in self._screens.values()),
        }

    def check(self) -> None:
        """The invariants."""
        pairs = {(key, number) for key, found in self._screens.items() for number in found.views}
        assert pairs == {who for shared in self._shared.values() for who in shared.seqs}
        for key, shared in self._shared.items():
            assert shared.key == key and shared.seqs, "a view that nobody looks at"


_request_decoder: msgspec.json.Decoder[screen.Request] = msgspec.json.Decoder(screen.Request)
_decode = _request_decoder.decode


class _Numbered(msgspec.Struct):
    id: int


def _number(data: bytes) -> int:
    """The number of a request that can't be understood, 0 if even that can't."""
    try:
        return msgspec.json.decode(data[:REQUEST_BYTES_MAX], type=_Numbered).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0
