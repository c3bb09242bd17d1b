"""What waits to be durable, and what happens when it is.

Rules
-----
* A change is made in memory at once and written at once; its *answer* waits until the write is durable. So two requests
  for one name are decided in the order in which they came, without waiting for the store.
* A read of something that is not durable yet waits behind the write: nobody sees what could still be lost.
* A write that is refused, or isn't confirmed within ``patience_s``, is undone by whoever made it, in memory and by a
  write of the opposite (the store may have done it without telling), and the answer is an error. So nothing hangs when
  the store stays away.
* What has happened can't be undone (a process has died). Such a write is *lasting*: ``undo`` says once that it takes
  long, ``then`` follows whenever it is durable, and what the store refuses is written again. Until then whoever wants
  to rest on it is refused.
* Knows nothing of what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_effects import ForgetPeer, Persist, Say, WatchProcess, Write

Effect = Send | Persist | WatchProcess | ForgetPeer | Say
Effects = list[Effect]
Then = Callable[[], Effects]
Undo = Callable[[str], Effects]

AGAIN_PAUSE_S: Final = 1.0
AGAIN_PAUSE_S_MAX: Final = 60.0
"""Before a lasting write that the store has refused is tried again: the first time, and at most."""


def nothing() -> Effects:
    return []


def accept(_reason: str) -> Effects:
    return []


@dataclass(slots=True)
class _Follower:
    """What follows on a write."""

    then: Then
    undo: Undo
    lasting: bool


@dataclass(slots=True)
class _Open:
    """One write under way."""

    since: float
    writes: list[Write]
    lasting: bool
    followers: list[_Follower] = field(default_factory=list)
    late: str = ""
    """Only lasting followers are left, and have been told why it takes long."""
    again_at: float | None = None
    """The store has refused it: when it is written again."""
    pause_s: float = AGAIN_PAUSE_S


class Journal:
    """Numbers the writes and keeps what follows on each.

    Parameters
    ----------
    patience_s : float
        How long a request waits for its write before it is told that it failed.
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._last = 0
        self._open: dict[int, _Open] = {}
        self._dirty: dict[tuple[str, bytes], int] = {}
        self.failed = 0

    def __repr__(self) -> str:
        return f"<Journal last={self._last} open={len(self._open)} failed={self.failed}>"

    def write(
        self, writes: list[Write], now: float, then: Then = nothing, undo: Undo = accept, *, lasting: bool = False
    ) -> Persist:
        """Begin to make something durable.

        Parameters
        ----------
        then
            Gives the effects that follow once it is durable.
        undo
            Takes the change back, given the reason, and gives the effects that tell so. May write again.
        lasting
            It can't be taken back: ``undo`` only tells that it takes long, and ``then`` follows all the same, later.
        """
        return self._issue(_Open(now, writes, lasting, [_Follower(then, undo, lasting)]))

    def _issue(self, entry: _Open) -> Persist:
        self._last += 1
        token = self._last
        replaced = {self._dirty.get(_key(write), 0) for write in entry.writes}
        self._dirty.update({_key(write): token for write in entry.writes})
        self._open[token] = entry
        for older in sorted(replaced & self._open.keys()):
            if self._open[older].again_at is not None:
                self._drop_replaced(older, token)
        return Persist(token, tuple(entry.writes))

    def _drop_replaced(self, token: int, heir: int) -> Effects:
        """What was refused is not written over what is newer.

        If that leaves nothing, what was to follow on it follows on the newer write; before all else, for it came first.
        """
        entry = self._open[token]
        entry.writes = [write for write in entry.writes if self._dirty.get(_key(write)) == token]
        if entry.writes:
            return []
        del self._open[token]
        if heir in self._open:
            self._open[heir].followers[:0] = entry.followers
            return []
        return [effect for follower in entry.followers for effect in follower.then()]

    def when_durable(self, table: str, key: bytes, then: Then, undo: Undo, *, lasting: bool = False) -> Effects:
        """``then()``, at once or when the last write of this key is durable (``undo`` if that fails).

        Parameters
        ----------
        lasting
            As for `write`: ``then`` follows even after ``undo``, if the write itself is a lasting one.
        """
        token = self._dirty.get((table, key))
        if token is None:
            return then()
        entry = self._open[token]
        if not entry.late or lasting:
            entry.followers.append(_Follower(then, undo, lasting))
        return undo(entry.late) if entry.late else []

    def is_dirty(self, table: str, key: bytes) -> bool:
        """Whether a write of this key is under way."""
        return (table, key) in self._dirty

    def persisted(self, token: int) -> Effects:
        """The host's answer. A token that nobody waits for any more means nothing."""
        entry = self._close(token)
        effects: Effects = []
        for follower in entry.followers if entry else ():
            effects += follower.then()
        return effects

    def refused(self, token: int, reason: str, now: float) -> Effects:
        """The host's other answer. A lasting write is tried again."""
        entry = self._open.get(token)
        if entry is None:
            return []
        effects = self._disappoint(token, reason)
        if token in self._open:
            entry.again_at = now + entry.pause_s
            entry.pause_s = min(2 * entry.pause_s, AGAIN_PAUSE_S_MAX)
            heirs = {self._dirty.get(_key(write), 0) for write in entry.writes}
            effects += self._drop_replaced(token, max(heirs))
        return effects

    def _disappoint(self, token: int, reason: str) -> Effects:
        """Tell all who wait for this write that it is not durable. Those that it has to follow wait on."""
        entry = self._open[token]
        told, entry.late = bool(entry.late), entry.late or reason
        self.failed += not told
        followers = entry.followers
        if entry.lasting:
            entry.followers = [follower for follower in followers if follower.lasting]
        else:
            self._close(token)
        effects: Effects = []
        for follower in followers if not told else ():
            effects += follower.undo(reason)
        return effects

    def tick(self, now: float) -> Effects:
        """Give up on what has waited too long, and write again what was refused and must not be."""
        effects: Effects = []
        reason = (
            f"the cluster's state store has not confirmed it within {self.patience_s:g} s "
            "(is Redis running, is its disk full?)"
        )
        late = [token for token, entry in self._open.items() if not entry.late and now - entry.since >= self.patience_s]
        for token in late:
            effects += self._disappoint(token, reason)
        refused = [token for token, entry in self._open.items() if entry.again_at is not None and now >= entry.again_at]
        for token in refused:
            entry = self._open.pop(token)
            entry.again_at = None
            effects.append(self._issue(entry))
        return effects

    def _close(self, token: int) -> _Open | None:
        entry = self._open.pop(token, None)
        if entry is not None:
            for write in entry.writes:
                if self._dirty.get(_key(write)) == token:
                    del self._dirty[_key(write)]
        return entry

    @property
    def idle(self) -> bool:
        """Whether everything that was written is durable."""
        return not self._open

    def check(self) -> None:
        """The invariants."""
        for key, token in self._dirty.items():
            assert token in self._open, f"{key} waits for write {token}, which is closed"
            assert key in map(_key, self._open[token].writes)
        assert list(self._open) == sorted(self._open)
        for token, entry in self._open.items():
            if entry.late or entry.again_at is not None:
                assert entry.lasting and all(follower.lasting for follower in entry.followers), token


def _key(write: Write) -> tuple[str, bytes]:
    return write.table, write.key
