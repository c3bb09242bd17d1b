"""What waits to be durable, and what happens when it is.

Rules
-----
* A change is made in memory at once and written at once; its *answer* waits until the write is durable. So two requests
  for one name are decided in the order in which they came, without waiting for the store.
* A read of something that is not durable yet waits behind the write: nobody sees what could still be lost.
* A write that is refused, or isn't confirmed within ``patience_s``, is undone by whoever made it, in memory and by a
  write of the opposite (the store may have done it without telling), and the answer is an error. So nothing hangs when
  the store stays away.
* Knows nothing of what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_effects import ForgetPeer, Persist, Say, WatchProcess, Write

Effect = Send | Persist | WatchProcess | ForgetPeer | Say
Effects = list[Effect]
Then = Callable[[], Effects]
Undo = Callable[[str], Effects]


def nothing() -> Effects:
    return []


def accept(_reason: str) -> Effects:
    return []


@dataclass(slots=True)
class _Open:
    """One write under way."""

    since: float
    keys: list[tuple[str, bytes]]
    then: list[tuple[Then, Undo]] = field(default_factory=list)


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

    def write(self, writes: list[Write], now: float, then: Then = nothing, undo: Undo = accept) -> Persist:
        """Begin to make something durable.

        Parameters
        ----------
        then
            Gives the effects that follow once it is durable.
        undo
            Takes the change back, given the reason, and gives the effects that tell so. May write again.
        """
        self._last += 1
        keys = [(write.table, write.key) for write in writes]
        self._open[self._last] = _Open(now, keys, [(then, undo)])
        self._dirty.update(dict.fromkeys(keys, self._last))
        return Persist(self._last, tuple(writes))

    def when_durable(self, table: str, key: bytes, then: Then, undo: Undo) -> Effects:
        """``then()``, at once or when the last write of this key is durable (``undo`` if that fails)."""
        token = self._dirty.get((table, key))
        if token is None:
            return then()
        self._open[token].then.append((then, undo))
        return []

    def is_dirty(self, table: str, key: bytes) -> bool:
        """Whether a write of this key is under way."""
        return (table, key) in self._dirty

    def persisted(self, token: int) -> Effects:
        """The host's answer. A token that nobody waits for any more means nothing."""
        entry = self._close(token)
        effects: Effects = []
        for then, _ in entry.then if entry else ():
            effects += then()
        return effects

    def refused(self, token: int, reason: str) -> Effects:
        """The host's other answer, or the end of patience."""
        entry = self._close(token)
        effects: Effects = []
        if entry is not None:
            self.failed += 1
            for _, undo in entry.then:
                effects += undo(reason)
        return effects

    def tick(self, now: float) -> Effects:
        """Give up on what has waited too long."""
        late = []
        for token, entry in self._open.items():  # in order of their beginning
            if now - entry.since < self.patience_s:
                break
            late.append(token)
        effects: Effects = []
        reason = (
            f"the cluster's state store has not confirmed it within {self.patience_s:g} s "
            "(is Redis running, is its disk full?)"
        )
        for token in late:
            effects += self.refused(token, reason)
        return effects

    def _close(self, token: int) -> _Open | None:
        entry = self._open.pop(token, None)
        if entry is not None:
            for key in entry.keys:
                if self._dirty.get(key) == token:
                    del self._dirty[key]
        return entry

    @property
    def idle(self) -> bool:
        """Whether everything that was written is durable."""
        return not self._open

    def check(self) -> None:
        """The invariants."""
        for key, token in self._dirty.items():
            assert token in self._open, f"{key} waits for write {token}, which is closed"
            assert key in self._open[token].keys
        assert list(self._open) == sorted(self._open)
