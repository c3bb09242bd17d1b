"""The Redis store beyond the conformance suite: crashes under writes, interrupts, users' own servers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from raynb.runtime.adapters.redis_server import find_server
from raynb.runtime.adapters.redis_store import RedisStateStore
from raynb.runtime.adapters.redis_wire import (
    Command,
    LibraryWire,
    NoTimeError,
    RefusedError,
    Reply,
    UnixWire,
    Wire,
    WireError,
)
from raynb.runtime.ports.state_store import (
    Put,
    StaleEpochError,
    StateLostError,
    StateStoreError,
    StateStoreUnavailableError,
)
from tests.runtime.state_backends import CLUSTER, RedisBackend, nothing_left, short_directory, soon
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
    process.signal(signal.SIGSTOP)
    state = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
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
    with contextlib.closing(backend.open(call_timeout_s=0.2)) as store:
        store.next_epoch()
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
        store.apply([Put("t", b"k", b"2")])
        assert store.load("t").rows == [(b"k", b"2")]


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
    with contextlib.closing(backend.open(call_timeout_s=0.2)) as store:
        store.next_epoch()
        go_on = pause(backend)
        started = time.monotonic()
        with pytest.raises(StateStoreUnavailableError):
            store.apply([Put("t", b"k", b"1")])
        assert time.monotonic() - started < 1.0
        go_on()
        store.apply([Put("t", b"k", b"2")])
        assert store.load("t").rows == [(b"k", b"2")]


def test_a_batch_given_up_on_is_done_before_the_next_one_or_never(backend: RedisBackend) -> None:
    """The server finds both batches waiting on two connections, in an order of its own choice."""
    with contextlib.closing(backend.open(call_timeout_s=0.1)) as store:
        store.next_epoch()
        for number in range(8):
            go_on = pause(backend)
            with pytest.raises(StateStoreUnavailableError):
                store.apply([Put("t", b"k", b"given up %d" % number)])
            store.call_timeout_s = 10.0
            timer = threading.Timer(0.01, go_on)
            timer.start()
            store.apply([Put("t", b"k", b"next %d" % number)])
            timer.join()
            assert store.load("t").rows == [(b"k", b"next %d" % number)]
            store.call_timeout_s = 0.1


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
            timer.start()
            try:
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


@contextlib.contextmanager
def peer(answer: Callable[[socket.socket], object]) -> Iterator[Path]:
    """Something that listens on a socket as a server would, and answers as told."""
    with short_directory() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s"))
        listener.listen()
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5.0)
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield directory / "s"
        finally:
            stop.set()
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(directory / "s"))
            thread.join()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"$-5\r\n",
        b"$99999999999\r\n",
        b"*1\r\n" * 10,
        b":x\r\n",
        b"$3\r\nabcde",
        b"+OK\r\n+OK\r\n+OK\r\n",
        b"",
    ],
)
def test_a_peer_that_does_not_speak_redis_is_a_typed_error(nonsense: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(nonsense)

    with nothing_left(), peer(answer) as path, pytest.raises(WireError):
        UnixWire(path, "user", "password", soon(2.0))


def test_a_wire_is_not_used_again_after_a_failure() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"+OK\r\n+PONG\r\n")
        connection.recv(1000)
        connection.recv(1000)  # late, and for the second question
        connection.sendall(b"$4\r\nlate\r\n")

    with nothing_left(), peer(answer) as path:
        wire = UnixWire(path, "user", "password", soon())
        with pytest.raises(WireError, match="in time"):
            wire.exchange([("GET", "a")], soon(0.05))
        with pytest.raises(WireError):
            wire.exchange([("GET", "b")], soon(1.0))


def test_a_peer_that_answers_byte_by_byte_cannot_stretch_the_deadline() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"+OK\r\n$1000\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)

    started = time.monotonic()
    with nothing_left(), peer(answer) as path, pytest.raises(WireError, match="in time"):
        UnixWire(path, "user", "password", soon(0.2))
    assert time.monotonic() - started < 1.0


class UsersServer:
    """A server as a user may have it: on TCP, with a password, without an append-only file."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        password = hashlib.sha256(b"a secret").hexdigest()
        config = f"port {self.port}\nbind 127.0.0.1\nsave ''\ndir {directory}\nuser default on #{password} ~* +@all\n"
        found = find_server()
        assert found is not None
        self.process = subprocess.Popen([found.path, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert self.process.stdin is not None
        self.process.stdin.write(config.encode())
        self.process.stdin.close()
        self.url = f"redis://:a%20secret@127.0.0.1:{self.port}/0"
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            LibraryWire(self.url, soon()).close()
        except WireError:
            return False
        return True

    def say(self, *command: str | int) -> object:
        with contextlib.closing(LibraryWire(self.url, soon())) as wire:
            (reply,) = wire.exchange([command], soon())
            return reply

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


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


def test_a_url_cannot_ask_for_retries_that_outlast_the_deadline() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.recv(1000)

    options = "retry_on_timeout=true&socket_timeout=60&socket_connect_timeout=60&health_check_interval=1"
    with nothing_left(), peer(answer) as path:
        started = time.monotonic()
        with pytest.raises(WireError):
            LibraryWire(f"unix://{path}?{options}", soon(0.2))
        assert time.monotonic() - started < 1.0


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
