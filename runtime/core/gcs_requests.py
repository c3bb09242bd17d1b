"""Numbered requests: a repeated one is answered as the first time.

Rules
-----
* (sender, request) names a request; a sender's address is never used again, so its numbers may start anywhere.
* While one is under way its repetitions are ignored: the answer comes.
* Answers to requests that changed something are kept, the newest ``ANSWERS_MAX`` of each sender, and given again.
  Answers to reads are not kept: a repeated read is read again.
* After a restart of the GCS the kept answers are gone; then the tables themselves tell a repetition (an actor's id, a
  job's id, the writer noted in a key).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from raynb.runtime.core.effects import Send
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.values import Failed

ANSWERS_MAX: Final = 256
"""A client that repeats a request has fewer than this under way, else it may be carried out again."""


class Requests:
    """Who asked what, and what was answered."""

    def __init__(self) -> None:
        self._open: dict[str, set[int]] = {}
        self._answers: dict[str, OrderedDict[int, Reply]] = {}
        self.repeated = 0

    def __repr__(self) -> str:
        waiting = sum(map(len, self._open.values()))
        return f"<Requests open={waiting} senders={len(self._answers)} repeated={self.repeated}>"

    def admit(self, sender: str, request: int) -> Send | bool:
        """Whether to carry it out: True, False (under way already), or the answer that it got before."""
        answers = self._answers.get(sender)
        if answers is not None and request in answers:
            self.repeated += 1
            return Send(sender, answers[request])
        numbers = self._open.setdefault(sender, set())
        if request in numbers:
            self.repeated += 1
            return False
        numbers.add(request)
        return True

    def answer(self, sender: str, reply: Reply, keep: bool) -> Send:
        """The reply, kept for repetitions of a request that changed something."""
        numbers = self._open.get(sender)
        if numbers is not None:
            numbers.discard(reply.request)
            if not numbers:
                del self._open[sender]
        if keep:
            answers = self._answers.setdefault(sender, OrderedDict())
            answers[reply.request] = reply
            if len(answers) > ANSWERS_MAX:
                answers.popitem(last=False)
        return Send(sender, reply)

    def forget(self, sender: str) -> None:
        """It is dead."""
        self._open.pop(sender, None)
        self._answers.pop(sender, None)

    @property
    def open(self) -> int:
        """How many wait for their answer."""
        return sum(map(len, self._open.values()))

    def check(self) -> None:
        """The invariants."""
        for sender, answers in self._answers.items():
            assert len(answers) <= ANSWERS_MAX
            both = self._open.get(sender, set()) & answers.keys()
            assert not both, f"{sender}: {both} are answered and under way"


def refusal(request: int, kind: str, message: str) -> Reply:
    """A `Reply` that says no."""
    return Reply(request, error=Failed(kind, message))
