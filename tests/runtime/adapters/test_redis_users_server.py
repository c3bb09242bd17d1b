"""The Redis store on a server that the user has: shared, named by a URL, and not under our control."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from raynb.runtime.adapters.redis_store import RedisStateStore
from raynb.runtime.adapters.redis_wire import (
    LibraryWire,
    RefusedError,
)
from raynb.runtime.ports.state_store import (
    Put,
    StateLostError,
    StateStoreError,
    StateStoreUnavailableError,
)
from tests.runtime.state_backends import CLUSTER, nothing_left, short_directory, soon
from tests.runtime.users_redis import UsersServer


@pytest.fixture(scope="module")
def users() -> Iterator[UsersServer]:
    with short_directory() as directory:
        server = UsersServer(directory)
        yield server
        server.stop()


@pytest.fixture
def empty(users: UsersServer) -> UsersServer:
    users.say("FLUSHALL")
    return users


def test_a_users_server_is_shared_with_others_and_left_clean(empty: UsersServer) -> None:
    empty.say("SET", "theirs", 1)
    with (
        nothing_left(),
        contextlib.closing(RedisStateStore.at(empty.url, "one")) as one,
        contextlib.closing(RedisStateStore.at(empty.url, "two")) as two,
    ):
        for store in (one, two):
            assert store.next_epoch() == 1
        one.apply([Put("t", b"k", b"of one")])
        two.apply([Put("t", b"k", b"of two")])
        assert one.load("t").rows == [(b"k", b"of one")]
        one.erase()
        assert one.load("t").rows == []
        assert two.load("t").rows == [(b"k", b"of two")]
        two.erase()
    assert empty.say("KEYS", "*") == [b"theirs"]


def test_flushing_a_users_server_is_noticed_by_the_writer(empty: UsersServer) -> None:
    with contextlib.closing(RedisStateStore.at(empty.url, CLUSTER)) as store:
        store.next_epoch()
        store.apply([Put("t", b"k", b"v")])
        empty.say("FLUSHALL")
        with pytest.raises(StateLostError, match="1 batches"):
            store.apply([Put("t", b"l", b"v")])
        assert store.next_epoch() == 2
        store.apply([Put("t", b"k", b"v"), Put("t", b"l", b"v")])
        assert len(store.load("t").rows) == 2


def test_a_store_says_how_far_a_users_server_can_be_trusted(empty: UsersServer) -> None:
    with contextlib.closing(RedisStateStore.at(empty.url, CLUSTER)) as store:
        assert "appendonly is off" in store.describe()
    empty.say("CONFIG", "SET", "appendonly", "yes")
    with contextlib.closing(RedisStateStore.at(empty.url, CLUSTER)) as store:
        assert "appendfsync is everysec" in store.describe()
    empty.say("CONFIG", "SET", "appendfsync", "always")
    with contextlib.closing(RedisStateStore.at(empty.url, CLUSTER)) as store:
        assert "every write fsynced" in store.describe()
    empty.say("CONFIG", "SET", "appendonly", "no")


def test_no_secret_of_a_url_is_shown(empty: UsersServer) -> None:
    url = empty.url + "?client_name=hidden"
    with contextlib.closing(RedisStateStore.at(url, CLUSTER)) as store:
        store.next_epoch()
        shown = store.describe() + repr(store) + store.name
    assert f"redis://127.0.0.1:{empty.port}" in shown
    assert "secret" not in shown
    assert "hidden" not in shown


def test_a_wrong_password_is_an_error_at_once_that_does_not_repeat_it(empty: UsersServer) -> None:
    url = f"redis://:mistaken@127.0.0.1:{empty.port}"
    started = time.monotonic()
    with (
        contextlib.closing(RedisStateStore.at(url, CLUSTER)) as store,
        pytest.raises(StateStoreError, match="password in its URL is wrong") as raised,
    ):
        store.next_epoch()
    assert time.monotonic() - started < 5.0
    assert "mistaken" not in str(raised.value)


def test_a_full_server_refuses_for_good_with_advice(empty: UsersServer) -> None:
    with contextlib.closing(RedisStateStore.at(empty.url, CLUSTER)) as store:
        store.next_epoch()
        store.apply([Put("t", b"k", b"1")])
        empty.say("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StateStoreError, match="maxmemory") as raised:
                store.apply([Put("t", b"k", b"2")])
            assert not isinstance(raised.value, StateStoreUnavailableError)
        finally:
            empty.say("CONFIG", "SET", "maxmemory", "0")
        assert store.load("t").rows == [(b"k", b"1")]
        store.apply([Put("t", b"k", b"3")])


@pytest.mark.parametrize("url", ["http://host", "host:6379", "redis://host?no_such_option=1"])
def test_what_is_no_redis_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        RedisStateStore.at(url, CLUSTER).next_epoch()
    assert "host" not in str(raised.value)


def test_errors_inside_a_list_of_answers_are_found_and_the_next_answer_is_the_right_one(empty: UsersServer) -> None:
    with contextlib.closing(LibraryWire(empty.url, soon())) as wire:
        wire.exchange([("SET", "text", "x")], soon())
        with pytest.raises(RefusedError, match="WRONGTYPE"):
            wire.exchange([("MULTI",), ("INCR", "n"), ("HSET", "text", "a", "b"), ("EXEC",)], soon())
        assert wire.exchange([("GET", "text")], soon()) == [b"x"]
