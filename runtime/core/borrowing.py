"""What a process says to the owners of objects that it borrows: that it refers to them, wants a value, has let them go.

Rules
-----
1. *Register before you let go*: a borrower's `AddBorrowers` must reach the owner while somebody else still keeps the
   object alive. So whatever could make somebody let go (`RemoveBorrowers`, results, `RefsTaken`) is held back while a
   registration with another process is unanswered. Towards the same process the order of the connection does it.
2. All that is said to one owner within an event is said at once: registrations first, then pulls, then what was held.
3. Where an owner is dead, the node manager is told what is held of it, and what no longer is.

What this never knows: entries, values.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from raynb.runtime.core.effects import Send
from raynb.runtime.messages import Message
from raynb.runtime.messages.objects import AddBorrowers, OrphansReleased, PullObjects, RemoveBorrowers


class Borrowing:
    """What one process has to say to owners. See the module's rules.

    Parameters
    ----------
    dead
        Addresses of processes that are known to be dead; belongs to `Ownership`.
    """

    def __init__(self, node_manager: str, dead: AbstractSet[str]) -> None:
        self._node_manager = node_manager
        self._dead = dead
        self.unanswered: dict[str, int] = {}
        """By process: registrations that it has not acknowledged."""
        self.held_back: list[tuple[str, Message]] = []
        self._registrations: dict[str, list[bytes]] = {}
        self._releases: dict[str, dict[bytes, None]] = {}
        """By owner: what was let go and not told yet. Towards a dead one's the node manager is told."""
        self._pulls: dict[str, list[bytes]] = {}

    def register(self, oid: bytes, owner: str) -> None:
        """This process refers to an object from now on."""
        released = self._releases.get(owner)
        if released is not None and oid in released:
            # It was let go just now, and nobody was told: a registration would overtake that.
            del released[oid]
        else:
            keeper = self._node_manager if owner in self._dead else owner
            self._registrations.setdefault(keeper, []).append(oid)

    def let_go(self, oid: bytes, owner: str) -> None:
        """It no longer refers to it."""
        self._releases.setdefault(owner, {})[oid] = None

    def pull(self, oid: bytes, owner: str) -> None:
        """It wants the value."""
        self._pulls.setdefault(owner, []).append(oid)

    def send_guarded(self, to: str, message: Message) -> None:
        """Send something that lets the receiver let go of references: after all registrations with others (rule 1)."""
        self.held_back.append((to, message))

    def answered(self, sender: str) -> None:
        """A registration is acknowledged."""
        left = self.unanswered.get(sender, 0) - 1
        if left > 0:
            self.unanswered[sender] = left
        else:
            self.unanswered.pop(sender, None)

    def process_died(self, address: str) -> None:
        """An owner is gone: rule 3."""
        self.unanswered.pop(address, None)
        self._pulls.pop(address, None)
        unsent = self._registrations.pop(address, None)
        if unsent:
            self._registrations.setdefault(self._node_manager, []).extend(unsent)

    @property
    def holds_back(self) -> bool:
        """Whether something waits for an answer to a registration."""
        return bool(self.held_back or self._releases)

    def flush(self, effects: list[Any]) -> None:
        """Add what is to be sent, in order."""
        for owner, oids in self._registrations.items():
            effects.append(Send(owner, AddBorrowers(oids)))
            self.unanswered[owner] = self.unanswered.get(owner, 0) + 1
        self._registrations.clear()
        for owner, oids in self._pulls.items():
            effects.append(Send(owner, PullObjects(oids)))
        self._pulls.clear()
        if self.held_back or self._releases:
            self._send_held_back(effects)

    def _send_held_back(self, effects: list[Any]) -> None:
        """What lets others let go (rule 1).

        While one process has not answered, what goes to that one may: the order of the connection is enough. The order
        among messages to one receiver is kept, for each receiver's are all sent or all held. Releases may come last.
        """
        unanswered = self.unanswered
        if not unanswered:
            effects.extend(Send(to, message) for to, message in self.held_back)
            self.held_back.clear()
            releases, self._releases = self._releases, {}
            for owner, oids in releases.items():
                self._release_to(owner, oids, effects)
        elif len(unanswered) == 1:
            (only,) = unanswered
            stay = []
            for to, message in self.held_back:
                if to == only:
                    effects.append(Send(to, message))
                else:
                    stay.append((to, message))
            self.held_back = stay
            if only in self._releases:
                self._release_to(only, self._releases.pop(only), effects)

    def _release_to(self, owner: str, oids: dict[bytes, None], effects: list[Any]) -> None:
        if not oids:
            return
        if owner in self._dead:
            effects.append(Send(self._node_manager, OrphansReleased(list(oids))))
        else:
            effects.append(Send(owner, RemoveBorrowers(list(oids))))
