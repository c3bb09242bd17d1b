"""What the dead have said comes before the news of their death.

The kernel keeps what a process of this machine has sent before it ended, but the news of its end come another way: in
a message of its node manager, or by its pidfd. ZeroMQ's own thread reads the connections in no order that one could
know, so the news may well be here first; and they end a peer: nothing that it has sent counts from then on.

Rules
-----
1. News are held back until this process has sent itself two messages, one after the other, without hearing anything of
   the dead meanwhile. ZeroMQ's thread has read each connection between an echo's way out and its way back, and a ROUTER
   gives one message of each peer in turn: so the second of two echoes follows whatever was there before the first.
2. What the teller of held news sends afterwards is held, too: one sender's messages keep their order.
3. After a second all is let go, however it stands: a session's directory may be gone, and no echo come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from raynb.runtime.messages import Message

ECHO = b""
"""No message: those are never empty."""

ECHOES_NEEDED = 2
HELD_S_MAX = 1.0


class LastWords:
    """News of deaths that are held back.

    Parameters
    ----------
    echo : Callable[[], None]
        Has this process send itself an `ECHO`.
    """

    def __init__(self, echo: Callable[[], None]) -> None:
        self._echo = echo
        self._dead: set[str] = set()
        self._tellers: set[str] = set()
        self._messages: list[tuple[str, Message]] = []
        self._calls: list[Callable[[], None]] = []
        self._quiet = 0
        self._under_way = False
        self._deadline = 0.0

    @property
    def pending(self) -> bool:
        """Whether any news are held; only then `holds` has to be asked."""
        return bool(self._dead)

    def hold(self, teller: str, dead: str, message: Message) -> None:
        """These news have come in a message."""
        self._tellers.add(teller)
        self._messages.append((teller, message))
        self._begin(dead)

    def hold_call(self, dead: str, call: Callable[[], None]) -> None:
        """These news have come another way; ``call`` goes on with them."""
        self._calls.append(call)
        self._begin(dead)

    def _begin(self, dead: str) -> None:
        if not self._dead:
            self._deadline = time.monotonic() + HELD_S_MAX
        self._dead.add(dead)
        self._quiet = 0
        if not self._under_way:
            self._under_way = True
            self._echo()

    def holds(self, sender: str, message: Message) -> bool:
        """Whether this message follows held news, and is kept for now."""
        if sender in self._dead:
            self._quiet = 0
        elif sender in self._tellers:
            self._messages.append((sender, message))
            return True
        return False

    def heard_echo(self) -> None:
        """An echo has come back."""
        self._quiet += 1
        if self._quiet < ECHOES_NEEDED:
            self._echo()
        else:
            self._under_way = False

    def take(self) -> list[tuple[str, Message]]:
        """What is let go now, in order; calls have been called."""
        if self._under_way and time.monotonic() < self._deadline:
            return []
        messages, self._messages = self._messages, []
        calls, self._calls = self._calls, []
        self._dead.clear()
        self._tellers.clear()
        for call in calls:
            call()
        return messages
