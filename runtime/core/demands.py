"""How a submitter states its demand: at one manager, and where that sends it, at others too.

Rules
-----
1. A pool's demand is a level, stated to its *home*, a node manager. What that can't meet it has stated elsewhere
   (`LeaseSpill`): the pool's levels at all managers add up to its demand.
2. When a demand falls, it falls everywhere: no level is kept for more than what runs there and what waits here.
3. What is declined elsewhere (`LeaseDeclined`), or was stated to a manager that died, is the home's again. What is
   stated elsewhere is numbered: an answer to an earlier statement may be under way, and would leave the later one
   standing there that nobody lowers.
4. More is said at once, less at a tick only: calls in turn would say it twice each.
5. Where tasks are spread, a manager's turn is over when a lease of it goes back: its level falls by one, or the nodes
   that are quick would have the turns of all others.
6. Where a demand is refused for good, no level is kept for it anywhere: a later task's is to be answered so, too.

With one node nothing is ever stated elsewhere, and nothing of this costs anything.
"""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.effects import Send
from raynb.runtime.core.pools import Pool, Share
from raynb.runtime.messages.node import LeaseDemand
from raynb.runtime.messages.nodes import LeaseDeclined, LeaseSpill


class Demands:
    """See the module's rules.

    Parameters
    ----------
    node_manager
        Of this process's own node.
    limit
        No pool asks for more workers.
    """

    def __init__(self, node_manager: str, limit: int) -> None:
        self._node_manager = node_manager
        self._limit = limit
        self._number = 0

    def state(self, pool: Pool, effects: list[Any], *, at_tick: bool = False, anew: bool = False) -> None:
        """Say what a pool could use, where that has changed; ``anew``: or where others have less of it than before."""
        busy = waiting = 0
        for lease in pool.leases.values():
            if lease.inflight:
                busy += 1
                waiting += len(lease.inflight) - 1
        if pool.queue:
            # Else what lies in the workers' queues could be stolen by more workers, if there were any.
            waiting = len(pool.queue)
        count = min(busy + waiting, self._limit)
        # Rule 4.
        if count > pool.demanded or (at_tick and count != pool.demanded) or anew:
            pool.demanded = count
            if pool.elsewhere:
                self._lower(pool, waiting, effects)
            self._state_home(pool, effects)

    def turn_is_over(self, pool: Pool, manager: str, effects: list[Any]) -> None:
        """Rule 5; to be told before the lease goes back, which would be granted there again."""
        share = pool.elsewhere.get(manager)
        if share is not None:
            share.count -= 1
            self._state_share(pool, manager, share, effects)
            if not share.count:
                del pool.elsewhere[manager]
        self.state(pool, effects, at_tick=True, anew=share is not None)

    def _lower(self, pool: Pool, waiting: int, effects: list[Any]) -> None:
        """Rule 2."""
        for manager, share in list(pool.elsewhere.items()):
            count = min(share.count, pool.busy(manager) + waiting)
            if count < share.count:
                share.count = count
                self._state_share(pool, manager, share, effects)
                if not count:
                    del pool.elsewhere[manager]

    def _state_home(self, pool: Pool, effects: list[Any]) -> None:
        elsewhere = sum(share.count for share in pool.elsewhere.values())
        pool.room = False
        effects.append(Send(pool.home, self._message(pool, max(0, pool.demanded - elsewhere))))

    def _state_share(self, pool: Pool, manager: str, share: Share, effects: list[Any]) -> None:
        self._number += 1
        share.number = self._number
        effects.append(Send(manager, self._message(pool, share.count, sent_on=self._number, wait=share.wait)))

    def _message(self, pool: Pool, count: int, *, sent_on: int = 0, wait: bool = True) -> LeaseDemand:
        name = pool.queue[0].function.name if pool.queue else ""
        home = "" if pool.home == self._node_manager and not sent_on else self._node_manager
        return LeaseDemand(
            pool.key, pool.resources, count, name, pool.runtime_env, pool.retriable, home, sent_on > 0, wait,
            pool.heeded, pool.strategy, sent_on,
        )  # fmt: skip

    # -- what managers say

    def spill(self, pool: Pool, message: LeaseSpill, *, stay: bool = False) -> list[Any]:
        """The home has some of it stated elsewhere; ``stay``: that is not heeded, as it has room by now."""
        effects: list[Any] = []
        pool.heeded = message.number
        left = pool.demanded - sum(share.count for share in pool.elsewhere.values())
        count = 0 if stay else min(message.count, left)
        if count > 0:
            share = pool.elsewhere.setdefault(message.manager, Share())
            share.count += count
            share.wait = message.wait
            self._state_share(pool, message.manager, share, effects)
        self._state_home(pool, effects)
        return effects

    def declined(self, pool: Pool, manager: str, message: LeaseDeclined) -> list[Any]:
        """Rule 3."""
        share = pool.elsewhere.get(manager)
        if share is None or share.number != message.number or share.count <= message.count:
            return []
        share.count = message.count
        if not share.count:
            del pool.elsewhere[manager]
        effects: list[Any] = []
        self._state_home(pool, effects)
        return effects

    def refused(self, pool: Pool) -> list[Any]:
        """Rule 6; what waited for it has left the queue. What runs may come back to it."""
        effects: list[Any] = []
        for manager, share in pool.elsewhere.items():
            share.count = 0
            self._state_share(pool, manager, share, effects)
        pool.elsewhere.clear()
        pool.demanded = 0
        self._state_home(pool, effects)
        return effects

    def manager_died(self, pool: Pool, manager: str) -> list[Any]:
        """Rule 3."""
        effects: list[Any] = []
        if pool.home == manager:
            pool.home = self._node_manager
            pool.heeded = 0
        elif pool.elsewhere.pop(manager, None) is None:
            return []
        self._state_home(pool, effects)
        return effects
