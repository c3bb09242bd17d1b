"""Functions that are called when an object is gone, on a thread of their own: under Ray's name in `CoreWorker`."""

from __future__ import annotations

import threading
import time
import traceback
import weakref
from collections.abc import Callable
from queue import SimpleQueue

from raynb.runtime.api import ends
from raynb.runtime.client.client import Client
from raynb.runtime.core.watched import WatchObject

PATIENCE_S = 10.0

_Function = Callable[[bytes], object]
_of: weakref.WeakKeyDictionary[Client, OutOfScopeCalls] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class OutOfScopeCalls:
    """Those of one connection."""

    def __init__(self, client: Client) -> None:
        self._functions: dict[bytes, list[_Function]] = {}
        self._gone: SimpleQueue[bytes] = SimpleQueue()
        self._lock = threading.Lock()
        client.host.on_out_of_scope = self._gone.put
        ends.before_end.append(self._end)
        threading.Thread(target=self._run, name="raynb-out-of-scope", daemon=True).start()

    def __repr__(self) -> str:
        return f"<OutOfScopeCalls {len(self._functions)}>"

    def _end(self) -> None:
        ends.before_end.remove(self._end)
        self._gone.put(b"")

    def add(self, client: Client, oid: bytes, function: _Function) -> bool:
        """Whether it will be called."""
        host, watched = client.host, client.machine.objects.watched

        def begun() -> bool:
            host.read_inbox(time.monotonic())
            return oid in watched.oids

        with self._lock:
            self._functions.setdefault(oid, []).append(function)
        client.post(WatchObject(oid))
        if host.run(begun, PATIENCE_S):
            return True
        with self._lock:
            functions = self._functions.get(oid, [])
            if function in functions:
                functions.remove(function)
                return False
        return True  # it has come to it meanwhile

    def _run(self) -> None:
        while oid := self._gone.get():  # empty: its connection is about to end
            with self._lock:
                functions = self._functions.pop(oid, [])
            for function in functions:
                try:
                    function(oid)
                except Exception:
                    traceback.print_exc()


def calls_of(client: Client) -> OutOfScopeCalls:
    """Those of this connection; at first, none."""
    with _lock:
        if client not in _of:
            _of[client] = OutOfScopeCalls(client)
        return _of[client]
