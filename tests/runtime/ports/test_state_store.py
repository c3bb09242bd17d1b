"""The conformance suite of the port `StateStore`: its fake and all its adapters keep the same rules."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raynb.runtime.ports import state_store
from raynb.runtime.ports.state_record import seal, unseal
from raynb.runtime.ports.state_store import (
    Delete,
    Loaded,
    Put,
    StaleEpochError,
    StateLostError,
    StateStore,
    StateStoreError,
    Write,
)
from tests.runtime.state_backends import Backend, backend

KINDS = ["fake", "sqlite", "redis", "redis by redis-py"]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Backend]:
    with backend(request.param) as made:
        yield made


@pytest.fixture
def opened(place: Backend) -> Iterator[Callable[[], StateStore]]:
    """Opens stores that are closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(place.open()))


@pytest.fixture
def store(opened: Callable[[], StateStore]) -> StateStore:
    """One that may write."""
    store = opened()
    store.next_epoch()
    return store


def test_what_was_applied_is_there_after_a_crash(
    place: Backend, store: StateStore, opened: Callable[[], StateStore]
) -> None:
    store.apply([Put("actors", b"a", b"1"), Put("actors", b"b", b"2"), Put("nodes", b"a", b"3")])
    place.crash()
    after = opened()
    assert after.load("actors") == Loaded([(b"a", b"1"), (b"b", b"2")], [])
    assert after.load("nodes") == Loaded([(b"a", b"3")], [])


def test_a_crash_without_loss_is_no_loss(place: Backend, store: StateStore, opened: Callable[[], StateStore]) -> None:
    store.apply([Put("t", b"k", b"1")])
    place.crash()
    store.apply([Put("t", b"k", b"2")])
    after = opened()
    after.next_epoch()
    assert after.load("t").rows == [(b"k", b"2")]
    assert [*store.losses(), *after.losses()] == []


def test_the_last_write_to_a_key_in_a_batch_wins(store: StateStore) -> None:
    store.apply([Put("t", b"a", b"1"), Delete("t", b"a"), Put("t", b"a", b"2")])
    store.apply([Put("t", b"b", b"1"), Delete("t", b"b")])
    assert store.load("t").rows == [(b"a", b"2")]


def test_deleting_what_is_not_there_is_no_error(store: StateStore) -> None:
    store.apply([Delete("t", b"a"), Delete("u", b"b")])
    assert store.load("t") == store.load("u") == Loaded([], [])


def test_an_unknown_table_is_empty_also_without_an_epoch(opened: Callable[[], StateStore]) -> None:
    assert opened().load("never") == Loaded([], [])


def test_rows_come_in_the_order_of_their_keys_whatever_their_bytes(store: StateStore) -> None:
    keys = [b"", b"\0", b"\r\n", b"a", b"a\0", b"b", bytes(range(256)), b"\xff"]
    store.apply([Put("t", key, b"") for key in reversed(keys)])
    assert store.load("t").rows == [(key, b"") for key in sorted(keys)]


def test_a_table_of_thousands_of_rows_comes_back_whole(store: StateStore) -> None:
    rows = [(b"%05d" % number, b"v" * (number % 50)) for number in range(25_000)]
    store.apply([Put("t", key, value) for key, value in rows])
    store.apply([Delete("t", key) for key, _ in rows[:12_000]])
    assert store.load("t") == Loaded(rows[12_000:], [])


def test_a_large_value_comes_back_whole(store: StateStore) -> None:
    large = bytes(range(256)) * 20_000
    store.apply([Put("t", b"before", b"1"), Put("t", b"large", large), Put("t", b"then", b"2")])
    assert dict(store.load("t").rows) == {b"before": b"1", b"large": large, b"then": b"2"}


@pytest.mark.parametrize(
    "write",
    [
        Put("t", b"k" * (state_store.KEY_BYTES_MAX + 1), b""),
        Put("t", b"k", b"v" * (state_store.VALUE_BYTES_MAX + 1)),
        Put("a table", b"k", b""),
        Put("", b"k", b""),
    ],
    ids=["key", "value", "table", "no table"],
)
def test_a_write_beyond_the_limits_is_refused_with_its_whole_batch(store: StateStore, write: Write) -> None:
    with pytest.raises(ValueError, match=r"table"):
        store.apply([Put("t", b"good", b""), write])
    assert store.load("t").rows == []


def test_a_batch_beyond_the_limits_is_refused(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "BATCH_WRITES_MAX", 2)
    with pytest.raises(ValueError, match="3 writes"):
        store.apply([Put("t", b"%d" % number, b"") for number in range(3)])
    assert store.load("t").rows == []


def test_epochs_only_grow_across_crashes_and_stores(place: Backend, opened: Callable[[], StateStore]) -> None:
    epochs = []
    for _ in range(3):
        store = opened()
        epochs += [store.next_epoch(), store.next_epoch()]
        place.crash()
    assert epochs[0] == 1
    assert epochs == sorted(set(epochs))


def test_an_old_incarnation_can_write_nothing_once_there_is_a_newer(
    store: StateStore, opened: Callable[[], StateStore]
) -> None:
    store.apply([Put("t", b"k", b"old")])
    newer = opened()
    epoch = newer.next_epoch()
    for _ in range(2):
        with pytest.raises(StaleEpochError, match=f"epoch {epoch}"):
            store.apply([Put("t", b"k", b"stale"), Put("t", b"new", b"stale")])
    with pytest.raises(StaleEpochError):
        store.apply([])
    newer.apply([Put("t", b"l", b"new")])
    with pytest.raises(StaleEpochError):
        store.apply([Delete("t", b"l")])
    assert newer.load("t").rows == [(b"k", b"old"), (b"l", b"new")]
    assert [*store.losses(), *newer.losses()] == []


def test_nothing_can_be_written_without_an_epoch(opened: Callable[[], StateStore]) -> None:
    store = opened()
    with pytest.raises(StateStoreError, match="next_epoch"):
        store.apply([Put("t", b"k", b"v")])
    assert store.load("t").rows == []


def test_a_damaged_row_is_left_out_and_named_and_the_others_come(place: Backend, store: StateStore) -> None:
    store.apply([Put("t", key, b"value of " + key) for key in (b"a", b"b", b"c")])
    place.damage("t", b"b")
    assert store.load("t") == Loaded([(b"a", b"value of a"), (b"c", b"value of c")], [b"b"])
    (said,) = store.losses()
    assert "1 rows of table t are damaged" in said
    store.apply([Put("t", b"b", b"again")])
    assert store.load("t").damaged == []


def test_a_new_incarnation_says_that_acknowledged_batches_are_missing_and_takes_no_old_epoch(
    place: Backend, store: StateStore, opened: Callable[[], StateStore]
) -> None:
    store.apply([Put("t", b"kept", b"1")])
    place.remember()
    newer = opened()
    epoch = newer.next_epoch()
    for number in range(3):
        newer.apply([Put("t", b"lost", b"%d" % number)])
    place.turn_back()
    newest = opened()
    assert newest.next_epoch() > epoch
    (said,) = newest.losses()
    assert "3 batches" in said
    assert newest.load("t").rows == [(b"kept", b"1")]
    newest.apply([Put("t", b"lost", b"found")])
    newest.next_epoch()
    assert len(newest.losses()) == 1


def test_a_writer_learns_that_batches_are_missing_and_can_write_them_anew(place: Backend, store: StateStore) -> None:
    store.apply([Put("t", b"kept", b"1")])
    place.remember()
    store.apply([Put("t", b"lost", b"2")])
    place.turn_back()
    with pytest.raises(StateLostError, match="1 batches"):
        store.apply([Put("t", b"next", b"3")])
    with pytest.raises(StateStoreError, match="next_epoch"):
        store.apply([Put("t", b"next", b"3")])
    store.next_epoch()
    store.apply([Put("t", b"lost", b"2"), Put("t", b"next", b"3")])
    assert store.load("t").rows == [(b"kept", b"1"), (b"lost", b"2"), (b"next", b"3")]
    assert len(store.losses()) == 1


def test_another_thread_may_use_a_store(store: StateStore) -> None:
    thread = threading.Thread(target=lambda: store.apply([Put("t", b"k", b"v")]))
    thread.start()
    thread.join()
    assert store.load("t").rows == [(b"k", b"v")]


def test_a_closed_store_refuses_everything(opened: Callable[[], StateStore]) -> None:
    store = opened()
    store.next_epoch()
    store.close()
    store.close()
    calls: list[Callable[[], object]] = [
        store.next_epoch,
        lambda: store.load("t"),
        lambda: store.apply([Put("t", b"k", b"v")]),
    ]
    for call in calls:
        with pytest.raises(StateStoreError):
            call()


def test_a_store_says_which_it_is(store: StateStore) -> None:
    assert store.describe()
    assert len(repr(store)) > 10


TABLES = st.sampled_from(["t", "u"])
KEYS = st.binary(max_size=3)
WRITES = st.builds(Put, TABLES, KEYS, st.binary(max_size=40)) | st.builds(Delete, TABLES, KEYS)


@pytest.mark.parametrize("kind", KINDS)
def test_any_batches_leave_what_a_dictionary_would_hold(kind: str) -> None:
    with backend(kind) as place, contextlib.closing(place.open()) as store:
        _try_batches(place, store)


def _try_batches(place: Backend, store: StateStore) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.lists(WRITES, max_size=12), max_size=5))
    def check(batches: list[list[Put | Delete]]) -> None:
        store.next_epoch()
        model: dict[str, dict[bytes, bytes]] = {"t": {}, "u": {}}
        store.apply([Delete(table, key) for table in model for key, _ in store.load(table).rows])
        for batch in batches:
            store.apply(batch)
            for write in batch:
                if isinstance(write, Put):
                    model[write.table][write.key] = write.value
                else:
                    model[write.table].pop(write.key, None)
        with contextlib.closing(place.open()) as reader:
            for table, rows in model.items():
                assert reader.load(table) == Loaded(sorted(rows.items()), [])

    check()


@given(st.integers(0, 2**63), st.binary(max_size=20), st.binary(max_size=200), st.data())
def test_a_record_is_opened_whole_or_not_at_all(epoch: int, key: bytes, value: bytes, data: st.DataObject) -> None:
    record = seal(epoch, "t", key, value)
    assert unseal("t", key, record) == (epoch, value)
    assert unseal("u", key, record) is None
    assert unseal("t", key + b"x", record) is None
    assert unseal("t", key[:-1] + bytes([key[-1] ^ 1]) if key else b"x", record) is None
    at = data.draw(st.integers(0, len(record) - 1))
    assert unseal("t", key, record[:at]) is None
    bit = 1 << data.draw(st.integers(0, 7))
    assert unseal("t", key, record[:at] + bytes([record[at] ^ bit]) + record[at + 1 :]) is None
