"""A real Jupyter server with raynb's extension, and how a browser talks to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import websocket

from raynb.runtime.messages import screen
from tests.runtime.core.screen_client import Listener

START_S_MAX = 60.0
WATCH_PICKLE = """
import os, pickle, sys, traceback

def watched(name, original):
    def unpickles(*args, **kwargs):
        with open(os.environ["TEST_UNPICKLED"], "a") as log:
            log.write(f"{name}: {''.join(traceback.format_stack(limit=4))}")
        return original(*args, **kwargs)
    return unpickles

if "server" in sys.orig_argv and "jupyter" in sys.orig_argv:
    for name in ("load", "loads", "Unpickler"):
        setattr(pickle, name, watched(name, getattr(pickle, name)))
"""
"""Of the server's process: whatever it unpickles is noted."""
PATIENCE_S = 30.0
TOKEN = "only-for-tests"
BASE = "/user/ada/"

T = TypeVar("T")


def environment(home: Path) -> dict[str, str]:
    """Nothing of the user's own Jupyter."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    folders = {name: str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    own = {f"JUPYTER_{name}_DIR": folder for name, folder in folders.items()}
    return inherited | own | {"HOME": str(home), "IPYTHONDIR": str(home / "ipython")}


class Answer:
    """What the server answered over HTTP."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:500]!r}>"

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def words(self) -> str:
        return str(self.json["message"])


class Server:
    """Its process; `home` has all its configuration."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = environment(home)
        self._log = home / "server.log"
        (home / "notebooks").mkdir()
        (home / "watch").mkdir()
        (home / "watch" / "sitecustomize.py").write_text(WATCH_PICKLE)
        watched = {"PYTHONPATH": str(home / "watch"), "TEST_UNPICKLED": str(home / "unpickled")}
        command = [
            *(sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root"),
            *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.base_url={BASE}"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home / 'notebooks'}"),
        ]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=self.environment | watched, stdout=log, stderr=log)
        self.port = self._wait()

    def _wait(self) -> int:
        info = self.home / "runtime" / f"jpserver-{self.process.pid}.json"
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            if info.exists() and (text := info.read_text()):
                return int(json.loads(text)["port"])
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
        raise AssertionError(f"the Jupyter server did not start:\n{self.log}")

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def unpickled(self) -> str:
        """What the server has unpickled so far, with the places that did."""
        path = self.home / "unpickled"
        return path.read_text() if path.exists() else ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask below ``raynb/api/``. ``body``: as JSON, or bytes as they are."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"token {token}"
        url = f"{self.origin}{BASE}raynb/api/{path}"
        request = urllib.request.Request(url, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def get(self, path: str) -> Any:
        """The JSON of what has to be there."""
        answer = self.request("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def clusters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("clusters")["clusters"]
        return found

    def screen(self, cluster: str, **options: Any) -> Screen:
        return Screen(self, cluster, **options)


class Ended(AssertionError):
    """The server closed the websocket."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"closed with {code}: {words}")
        self.code = code
        self.words = words


class Screen(Listener):
    """A browser's window: the websocket and the views as it has put them together."""

    def __init__(
        self, server: Server, cluster: str, *, token: str | None = TOKEN, origin: str = "", **options: Any
    ) -> None:
        super().__init__()
        url = f"ws://127.0.0.1:{server.port}{BASE}raynb/api/clusters/{cluster}/views"
        headers = [f"Authorization: token {token}"] if token is not None else []
        self.socket = websocket.create_connection(
            url, timeout=PATIENCE_S, header=headers, origin=origin or server.origin, **options
        )

    def close(self) -> None:
        """Idempotent; also where the server has hung up already."""
        with suppress(websocket.WebSocketException, OSError):
            self.socket.close()
        self.socket.shutdown()

    def send(self, request: Any) -> None:
        self.socket.send(request if isinstance(request, str) else msgspec.json.encode(request).decode())

    def subscribe(self, view: screen.View, number: int = 1) -> Any:
        """The first state of a view."""
        self.states.pop(number, None)
        self.send(screen.Subscribe(number, view))
        return self.until(lambda: self.states.get(number))

    def read(self, timeout_s: float = PATIENCE_S) -> Any:
        """Take in one message."""
        self.socket.settimeout(timeout_s)
        opcode, data = self.socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self.socket.shutdown()
            raise Ended(int.from_bytes(data[:2], "big"), data[2:].decode())
        return self.hear(data)

    def until(self, condition: Callable[[], T], timeout_s: float = PATIENCE_S) -> T:
        """Take in messages until this is so."""
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            left = deadline - time.monotonic()
            assert left > 0, f"not within {timeout_s} s; told last: {self.told[-3:]}"
            with suppress(websocket.WebSocketTimeoutException):
                self.read(left)
        return found

    def until_ended(self, timeout_s: float = PATIENCE_S) -> Ended:
        try:
            self.until(lambda: False, timeout_s)
        except Ended as ended:
            return ended
        raise AssertionError("unreachable")

    def told_of(self, kind: type[T]) -> list[T]:
        return [told for told in self.told if isinstance(told, kind)]
