"""The Redis store beyond the conformance suite: crashes under writes, interrupts, and what comes too late."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from raynb.runtime.adapters.redis_store import RedisStateStore
from raynb.runtime.adapters.redis_wire import (
    Command,
    NoTimeError,
    Reply,
    Wire,
    WireError,
)
from raynb.runtime.ports.state_store import (
    Put,
    StaleEpochError,
    StateStoreUnavailableError,
)
from tests.runtime.state_backends import CLUSTER, RedisBackend, nothing_left, short_directory, soon
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until


@pytest.fixture(params=["own wire", "redis-py"])
def backend(request: pytest.FixtureRequest) -> Iterator[RedisBackend]:
    with short_directory() as directory, nothing_left():
        made = RedisBackend(directory, through_library=request.param == "redis-py")
        try:
            yield made
        finally:
            made.stop()


def pause(backend: RedisBackend) -> Callable[[], None]:
    """Hold the server in mid-air; returns what lets it go on."""
    assert backend.server.process is not None
    process = backend.server.process
    stop_process(process.pid)
    return lambda: void(process.signal(signal.SIGCONT))


def void(_value: object) -> None:
    """For calls whose result has no use."""


def test_a_server_killed_again_and_again_under_writes_loses_nothing_acknowledged(backend: RedisBackend) -> None:
    acknowledged = 0
    errors: list[BaseException] = []
    stop = threading.Event()

    def write() -> None:
        nonlocal acknowledged
        try:
            while not stop.is_set():
                number = acknowledged + 1
                store.apply([Put("t", b"%d" % row, b"%d" % number) for row in range(3)])
                acknowledged = number
        except BaseException as error:
            errors.append(error)

    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(4):
            enough = acknowledged + 20
            wait_until(lambda: errors or acknowledged > enough)  # noqa: B023 - it returns in this turn
            backend.crash()
        stop.set()
        writer.join()
        assert not errors
        backend.crash()
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        assert store.load("t").rows == [(b"%d" % row, b"%d" % acknowledged) for row in range(3)]
        assert store.losses() == ()


def test_a_server_that_is_away_is_an_error_in_time_and_used_again_when_it_is_back(backend: RedisBackend) -> None:
    def in_time(call: Callable[[], object]) -> bool:
        """Also a server that is there may take longer, on a machine that does other things."""
        with contextlib.suppress(StateStoreUnavailableError):
            call()
            return True
        return False

    with contextlib.closing(backend.open(call_timeout_s=0.2)) as store:
        wait_until(lambda: in_time(store.next_epoch), what="the server answers")
        backend.kill()
        calls: list[Callable[[], object]] = [
            lambda: store.apply([Put("t", b"k", b"1")]),
            lambda: store.load("t"),
            lambda: store.next_epoch(),
        ]
        for call in calls[:2]:
            started = time.monotonic()
            with pytest.raises(StateStoreUnavailableError, match="is it running"):
                call()
            assert 0.15 < time.monotonic() - started < 1.0
        backend.start()
        wait_until(lambda: in_time(lambda: store.apply([Put("t", b"k", b"2")])), what="the server is used again")
        rows: list[tuple[bytes, bytes]] = []
        wait_until(lambda: in_time(lambda: rows.extend(store.load("t").rows)), what="the server answers")
        assert rows == [(b"k", b"2")]


def test_the_error_gives_the_reason_of_the_last_attempt_that_there_was_time_for() -> None:
    attempts = []

    def dial(deadline: float) -> Wire:
        attempts.append(deadline)
        if time.monotonic() >= deadline:
            raise NoTimeError("no time is left")
        raise WireError(f"certificate {len(attempts)} has expired")

    with (
        contextlib.closing(RedisStateStore(dial, "server", CLUSTER, call_timeout_s=0.1)) as store,
        pytest.raises(StateStoreUnavailableError, match=r"within 0\.1 s \(certificate \d has expired\)"),
    ):
        store.load("t")
    assert 2 <= len(attempts) < 10


def test_a_server_that_hangs_is_an_error_in_time(backend: RedisBackend) -> None:
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        go_on = pause(backend)
        store.call_timeout_s = 0.2
        started = time.monotonic()
        with pytest.raises(StateStoreUnavailableError):
            store.apply([Put("t", b"k", b"1")])
        assert time.monotonic() - started < 1.0
        go_on()
        store.call_timeout_s = 10.0
        store.apply([Put("t", b"k", b"2")])
        assert store.load("t").rows == [(b"k", b"2")]


def test_a_batch_given_up_on_is_done_before_the_next_one_or_never(backend: RedisBackend) -> None:
    """The server finds both batches waiting on two connections, in an order of its own choice."""
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        for number in range(8):
            go_on = pause(backend)
            store.call_timeout_s = 0.1
            with pytest.raises(StateStoreUnavailableError):
                store.apply([Put("t", b"k", b"given up %d" % number)])
            store.call_timeout_s = 10.0
            timer = threading.Timer(0.01, go_on)
            timer.start()
            store.apply([Put("t", b"k", b"next %d" % number)])
            timer.join()
            assert store.load("t").rows == [(b"k", b"next %d" % number)]


class Meddled:
    """A wire on which something happens in the middle of the next batch."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.before_batch: Callable[[Sequence[Command]], None] | None = None
        self.after_batch: Callable[[], None] | None = None

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Reply]:
        if ("EXEC",) not in commands:
            return self.wire.exchange(commands, deadline)
        if before := self.before_batch:
            before(commands)
        split = commands.index(("EXEC",)) + 1
        replies = self.wire.exchange(commands[:split], deadline)
        if after := self.after_batch:
            self.after_batch = None
            after()
        return replies + self.wire.exchange(commands[split:], deadline)

    def close(self) -> None:
        """Later: what is under way may yet arrive."""


@pytest.fixture
def meddled(backend: RedisBackend) -> Iterator[tuple[RedisStateStore, list[Meddled]]]:
    """A store with an epoch, and its connections so far."""
    wires: list[Meddled] = []

    def dial(_deadline: float) -> Wire:
        wires.append(Meddled(backend.wire()))
        return wires[-1]

    with contextlib.closing(RedisStateStore(dial, "meddled", CLUSTER)) as store:
        store.next_epoch()
        yield store, wires
    for one in wires:
        one.wire.close()


def test_a_batch_that_arrives_after_its_successor_is_not_done(
    meddled: tuple[RedisStateStore, list[Meddled]],
) -> None:
    store, wires = meddled
    under_way: list[Sequence[Command]] = []

    def hold(commands: Sequence[Command]) -> None:
        under_way.append(commands)
        raise KeyboardInterrupt

    wires[0].before_batch = hold
    with pytest.raises(KeyboardInterrupt):
        store.apply([Put("t", b"k", b"first")])
    store.apply([Put("t", b"k", b"second")])
    assert len(wires) == 2
    late = wires[0].wire.exchange(under_way[0], soon())
    assert late[under_way[0].index(("EXEC",))] is None
    assert store.load("t").rows == [(b"k", b"second")]


def test_an_incarnation_that_comes_between_a_batch_and_the_next_watch_is_seen(
    backend: RedisBackend, meddled: tuple[RedisStateStore, list[Meddled]]
) -> None:
    store, wires = meddled
    with contextlib.closing(backend.open()) as newer:

        def takeover() -> None:
            newer.next_epoch()
            newer.apply([Put("t", b"k", b"newer")])

        wires[-1].after_batch = takeover
        store.apply([Put("t", b"k", b"older")])
        with pytest.raises(StaleEpochError):
            store.apply([Put("t", b"k", b"stale")])
        assert newer.load("t").rows == [(b"k", b"newer")]


def test_after_an_interrupt_no_answer_is_taken_for_another_calls(backend: RedisBackend) -> None:
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        store.apply([Put("t", b"k", b"1"), Put("u", b"k", b"other")])
        interrupts = 0
        for number in range(10):
            go_on = pause(backend)
            timer = threading.Timer(0.02, os.kill, [os.getpid(), signal.SIGINT])
            try:
                timer.start()  # in here: on a busy machine it takes longer than that
                if number % 2:
                    store.apply([Put("t", b"k", b"interrupted")])
                else:
                    store.load("u")
            except KeyboardInterrupt:
                interrupts += 1
            timer.join()
            go_on()
            assert store.load("u").rows == [(b"k", b"other")]
            store.apply([Put("t", b"k", b"%d" % number)])
            assert store.load("t").rows == [(b"k", b"%d" % number)]
        assert interrupts == 10


def test_two_incarnations_racing_leave_one_writer_and_whole_batches(backend: RedisBackend) -> None:
    """Each takes an epoch and writes until it is told that it is stale."""
    last: dict[int, int] = {}

    def incarnation() -> None:
        with contextlib.closing(backend.open()) as store:
            epoch = store.next_epoch()
            with contextlib.suppress(StaleEpochError):
                for number in range(300):
                    store.apply([Put("t", b"%d" % row, b"%d %d" % (epoch, number)) for row in range(3)])
                    last[epoch] = number

    threads = [threading.Thread(target=incarnation) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = max(last)
    assert last[newest] == 299
    with contextlib.closing(backend.open()) as store:
        assert [value for _, value in store.load("t").rows] == [b"%d 299" % newest] * 3
