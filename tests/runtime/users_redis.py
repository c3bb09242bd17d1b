"""A Redis that the user has."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
from pathlib import Path

from raynb.runtime.adapters.redis_server import find_server
from raynb.runtime.adapters.redis_wire import LibraryWire, WireError
from tests.runtime.state_backends import soon
from tests.support.waiting import wait_until


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
