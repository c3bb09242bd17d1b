from __future__ import annotations

from raynb.runtime.core.client_store import IDLE_S, ClientStore
from raynb.runtime.messages import Config
from raynb.runtime.messages.objects import AllocateExtent, ExtentGranted, ExtentRefused

KB = 1024
CONFIG = Config(client_extent_bytes=64 * KB, own_extent_bytes=16 * KB)
X = b"x" * 28


def grant(ask: AllocateExtent, number: int = 1) -> ExtentGranted:
    return ExtentGranted(ask.request, number, "s", 4096, ask.size)


def test_a_first_object_asks_for_an_extent_and_the_next_ones_lie_behind_it() -> None:
    store = ClientStore(CONFIG)
    assert store.place(100, 0.0) is None
    ask = store.ask(100)
    assert ask.size == 64 * KB
    first = store.granted(grant(ask), 0.0)
    second = store.place(100, 0.0)
    assert first and second
    assert (first.offset, second.offset) == (4096, 4096 + 128)
    store.check()


def test_a_large_object_gets_a_grant_of_its_own_which_closes_with_it() -> None:
    store = ClientStore(CONFIG)
    ask = store.ask(20 * KB + 1)
    assert ask.size == 20 * KB + 64
    place = store.granted(grant(ask), 0.0)
    assert place and place.size == 20 * KB + 1
    store.written(place, X, "ipc://o", "note")
    news = store.take_news()
    assert news and [(o.oid, o.size, o.note) for o in news.objects] == [(X, place.size, "note")]
    assert news.closed == [1]
    assert store.take_news() is None


def test_an_extent_is_closed_only_when_nothing_in_it_is_being_written() -> None:
    store = ClientStore(CONFIG)
    writing = store.granted(grant(store.ask(15 * KB), 1), 0.0)
    assert writing
    while place := store.place(15 * KB, 0.0):
        store.written(place, X, "ipc://o")
    last = store.granted(grant(store.ask(15 * KB), 2), 0.0)
    assert last
    news = store.take_news()
    assert news and len(news.objects) == 3 and news.closed == []
    store.abandon(writing)
    news = store.take_news()
    assert news and news.closed == [1]
    store.check()


def test_of_two_extents_that_were_asked_for_at_once_the_one_with_more_room_stays() -> None:
    store = ClientStore(CONFIG)
    asks = [store.ask(10 * KB), store.ask(12 * KB)]
    places = [store.granted(grant(ask, ask.request), 0.0) for ask in asks]
    for place in places:
        assert place
        store.written(place, X, "ipc://o")
    news = store.take_news()
    assert news and news.closed == [2]
    assert store.place(1, 0.0) is not None
    store.check()


def test_what_nobody_waits_for_any_more_goes_back_at_once() -> None:
    store = ClientStore(CONFIG)
    ask = store.ask(100 * KB)
    store.forget(ask.request)
    assert store.granted(grant(ask), 0.0) is None
    news = store.take_news()
    assert news and news.closed == [1]
    assert store.place(1, 0.0) is None


def test_an_extent_that_is_not_used_goes_back() -> None:
    store = ClientStore(CONFIG)
    place = store.granted(grant(store.ask(1)), 0.0)
    assert place
    store.written(place, X, "ipc://o")
    store.take_news()
    store.idle(IDLE_S - 0.1)
    assert store.take_news() is None
    store.idle(IDLE_S)
    news = store.take_news()
    assert news and news.closed == [1]
    assert store.statistics()["open_grants"] == 0


def test_a_refusal_is_for_whoever_asked() -> None:
    store = ClientStore(CONFIG)
    ask = store.ask(1)
    assert store.refused(ExtentRefused(ask.request, "full"))
    assert not store.refused(ExtentRefused(ask.request, "full"))


def test_at_the_end_everything_goes_back() -> None:
    store = ClientStore(CONFIG)
    place = store.granted(grant(store.ask(1)), 0.0)
    assert place
    store.close()
    assert store.take_news() is None
    store.written(place, X, "ipc://o")
    news = store.take_news()
    assert news and news.closed == [1]
