"""Numbered requests of a client: to the GCS, which may be restarted in between, and to its node manager.

A request that is not answered within ``retry_request_s`` goes to the GCS again, and again, as long as the cluster
lives; the GCS answers a repeated one as the first time. The node manager answers or dies.
"""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.effects import Send
from raynb.runtime.core.inbox import Answer, Ask
from raynb.runtime.core.waiters import Wake
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.values import Failed


class Requests:
    """What was asked and not yet answered."""

    def __init__(self, gcs: str, repeat_after_s: float) -> None:
        self._gcs = gcs
        self._repeat_after_s = repeat_after_s
        self._next = 1
        self._open: dict[int, tuple[Ask, float]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, item: Ask, now: float) -> list[Any]:
        """Number a request and send it."""
        number = self._next
        self._next += 1
        message: Any = item.message
        message.request = number
        self._open[number] = (item, now)
        return [Send(item.to, message)]

    def answered(self, message: Any) -> tuple[Ask | None, list[Any]]:
        """A reply arrived: what was asked (None for one that nobody waits for), and the waking of who asked."""
        found = self._open.pop(message.request, None)
        if found is None:
            return None, []
        ask = found[0]
        if ask.answer is None or ask.answer.reply is not None:
            return ask, []
        ask.answer.reply = message
        ask.answer.waiter.needed = 0
        return ask, [Wake(ask.answer.waiter)]

    def forget(self, answer: Answer) -> None:
        """Who asked has given up: it is not asked again."""
        for number, (ask, _) in list(self._open.items()):
            if ask.answer is answer:
                del self._open[number]

    def failures(self, failure: Failed) -> list[Reply]:
        """The replies that stand for all open requests when nobody will answer any more."""
        return [Reply(number, error=failure) for number in self._open]

    def tick(self, now: float) -> list[Any]:
        """Repeat what the GCS has not answered."""
        effects: list[Any] = []
        for number, (ask, sent_at) in self._open.items():
            if ask.to == self._gcs and now - sent_at > self._repeat_after_s:
                self._open[number] = (ask, now)
                effects.append(Send(ask.to, ask.message))
        return effects
