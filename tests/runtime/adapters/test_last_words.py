"""News of deaths wait for what the dead have said."""

from __future__ import annotations

import pytest

from raynb.runtime.adapters import last_words
from raynb.runtime.adapters.last_words import LastWords
from raynb.runtime.messages import Message
from raynb.runtime.messages.node import ProcessDied
from raynb.runtime.messages.objects import FreeObjects

NODE, GCS, WORKER, OTHER = "node", "gcs", "worker", "other"


class Held:
    """What is held, and how many echoes it has asked for."""

    def __init__(self) -> None:
        self.echoes = 0
        self.words = LastWords(self._send)

    def _send(self) -> None:
        self.echoes += 1

    def news(self, teller: str, dead: str) -> Message:
        message = ProcessDied(dead, "worker", 7, "it ended")
        self.words.hold(teller, dead, message)
        return message


def test_two_echoes_without_a_word_of_the_dead_let_the_news_go() -> None:
    held = Held()
    news = held.news(NODE, WORKER)
    assert held.echoes == 1 and held.words.take() == []
    held.words.heard_echo()
    assert held.echoes == 2 and held.words.take() == []
    held.words.heard_echo()
    assert held.words.take() == [(NODE, news)]
    assert not held.words.pending and held.echoes == 2


def test_as_long_as_the_dead_are_heard_their_death_is_not_told() -> None:
    held = Held()
    held.news(NODE, WORKER)
    for _ in range(5):
        held.words.heard_echo()
        assert not held.words.holds(WORKER, FreeObjects([b"a"])), "it counts"
        assert held.words.take() == []
    held.words.heard_echo()
    assert held.words.take() == []
    held.words.heard_echo()
    assert held.words.take()


def test_what_the_teller_says_next_waits_and_others_do_not() -> None:
    held = Held()
    news = held.news(NODE, WORKER)
    after = FreeObjects([b"b"])
    assert held.words.holds(NODE, after) and not held.words.holds(OTHER, after)
    more = held.news(NODE, OTHER)
    same = held.news(GCS, WORKER)
    held.words.heard_echo()
    held.words.heard_echo()
    assert held.words.take() == [(NODE, news), (NODE, after), (NODE, more), (GCS, same)]


def test_later_news_begin_the_wait_again() -> None:
    held = Held()
    held.news(NODE, WORKER)
    held.words.heard_echo()
    held.news(NODE, OTHER)
    held.words.heard_echo()
    assert held.words.take() == []
    held.words.heard_echo()
    assert len(held.words.take()) == 2


def test_calls_come_with_the_messages() -> None:
    held = Held()
    called: list[str] = []
    held.words.hold_call(WORKER, lambda: called.append("ended"))
    held.words.heard_echo()
    assert held.words.take() == [] and called == []
    held.words.heard_echo()
    assert held.words.take() == [] and called == ["ended"]


def test_an_echo_that_never_comes_back_holds_nothing_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(last_words.time, "monotonic", lambda: now[0])
    held = Held()
    news = held.news(NODE, WORKER)
    now[0] += last_words.HELD_S_MAX - 0.01
    assert held.words.take() == []
    now[0] += 0.01
    assert held.words.take() == [(NODE, news)]
    later = held.news(NODE, OTHER)
    now[0] += last_words.HELD_S_MAX
    assert held.words.take() == [(NODE, later)]
