"""The GCS process: ``python -m raynb.runtime.daemons.gcs``, started by the head node's manager.

Its settings (`GcsSettings`, msgpack) come through its standard input. It binds the same address each time it is
started, takes the next epoch of the state store, reads everything back, and serves. Its main thread owns the sockets
and the machine; a second one owns the store (`raynb.runtime.daemons.gcs_store`).

Killed at any moment it may be started again. It exits with 0 after `Shutdown` or SIGTERM, when what it was given is
written; with 3 if a newer GCS has taken its place; with 1 if the state store can't be used.
"""

from __future__ import annotations

import gc as garbage
import os
import signal
import socket
import sys
import time
import traceback
from functools import partial
from types import FrameType
from typing import Final

import msgspec

from raynb._version import __version__
from raynb.runtime.adapters.processes import Process
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.gcs import TABLES, GcsMachine
from raynb.runtime.core.gcs_effects import (
    ForgetPeer,
    Malformed,
    Persist,
    ProcessEnded,
    Say,
    WatchProcess,
)
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.daemons.gcs_store import StoreThread, begin
from raynb.runtime.daemons.log_files import say
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import GcsSettings, Reply
from raynb.runtime.messages.values import Failed
from raynb.runtime.ports.state_store import StateStoreError

EXIT_STORE: Final = 1
EXIT_REPLACED: Final = 3
IDLE_TICK_S: Final = 0.25
CLOSE_PATIENCE_S: Final = 5.0


class GcsHost:
    """Carries out what the machine decides.

    Parameters
    ----------
    machine : GcsMachine
        It has taken in what the store holds.
    """

    def __init__(
        self, machine: GcsMachine, store: StoreThread, transport: Transport, config: Config, *, shared_store: bool
    ) -> None:
        self.machine = machine
        self.store = store
        self.transport = transport
        self._tick_s = config.tick_s
        self._shared_store = shared_store
        self._hostname = socket.gethostname()
        self._ended: list[ProcessEnded] = []
        self._stop = False

    def run(self) -> int:
        """Serve until the end; returns the exit code."""
        last_tick = 0.0
        while not self._stop and not self.machine.shutting_down:
            pause = self._tick_s if self.machine.waiting else IDLE_TICK_S
            received = self.transport.receive(max(0.0, last_tick + pause - time.monotonic()))
            now = time.monotonic()
            for event in self.store.take():
                self._carry_out(self._handle(event, now))
            for sender, message in received:
                self._carry_out(self._handle(Received(sender, message), now))
            while self._ended:
                self._carry_out(self._handle(self._ended.pop(), now))
            if now - last_tick >= pause:
                self._carry_out(self._handle(Tick(), now))
                last_tick = now
            if self.store.fatal:
                say("error", f"giving up: {self.store.fatal}")
                return EXIT_REPLACED
        return self._finish()

    def stop(self) -> None:
        """Make `run` end; from a signal handler or another thread."""
        self._stop = True
        self.transport.wake()

    def malformed(self, sender: str, reason: str) -> None:
        """A peer was cut off."""
        self._carry_out(self._handle(Malformed(sender, reason), time.monotonic()))

    def _finish(self) -> int:
        """What was asked for before the end is written and answered."""
        deadline = time.monotonic() + CLOSE_PATIENCE_S
        while not self.machine.journal.idle and time.monotonic() < deadline and not self.store.fatal:
            self.transport.receive(self._tick_s)  # woken by the store; what it receives comes too late
            for event in self.store.take():
                self._carry_out(self._handle(event, time.monotonic()))
        erase = self._shared_store and self.machine.shutting_down
        if not self.store.close(max(0.1, deadline - time.monotonic()), erase=erase):
            say("error", "some writes were not durable at the end: the state store did not answer")
            return EXIT_STORE
        return 0

    def _handle(self, event: object, now: float) -> Effects:
        """The machine's answer. Its error is told and costs this event, not everybody's control store."""
        try:
            return self.machine.handle(event, now)
        except Exception:
            say("error", f"could not handle {type(event).__name__}:\n{traceback.format_exc()}")
            request = getattr(getattr(event, "message", None), "request", 0)
            if isinstance(event, Received) and request:
                kind = type(event.message).__name__
                text = f"the GCS failed at this {kind}; its log has the details"
                reply = Reply(request, error=Failed("RaySystemError", text))
                return [self.machine.requests.answer(event.sender, reply, keep=True)]
            return []

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(to, message):
                    self.transport.send(to, message)
                case Persist():
                    self.store.submit(effect)
                case WatchProcess():
                    self._watch(effect)
                case ForgetPeer(address):
                    self.transport.forget(address)
                case Say(level, text):
                    say(level, text)

    def _watch(self, effect: WatchProcess) -> None:
        if effect.hostname != self._hostname:
            return
        try:
            process = Process(effect.pid, is_child=False)
        except ProcessLookupError:
            self._ended.append(ProcessEnded(effect.address, effect.pid, "its process has ended"))
            return
        self.transport.watch(process.fileno(), partial(self._process_ended, effect, process))

    def _process_ended(self, effect: WatchProcess, process: Process) -> None:
        self.transport.unwatch(process.fileno())
        process.close()
        ended = ProcessEnded(effect.address, effect.pid, "its process has ended")
        self.transport.after_all_of(effect.address, partial(self._ended.append, ended))


def serve(settings: GcsSettings) -> int:
    """Be the GCS; returns the exit code."""
    config = msgspec.msgpack.decode(settings.config, type=Config) if settings.config else Config()
    try:
        store, epoch, loaded = begin(settings, TABLES)
    except (StateStoreError, OSError, ValueError) as error:
        say("error", f"the state store can't be used: {error}")
        return EXIT_STORE
    offset = time.time() - time.monotonic()
    machine = GcsMachine(epoch, config, offset, socket.gethostname(), settings.cluster_id, __version__)
    hosts: list[GcsHost] = []

    def on_malformed(sender: str, reason: str) -> None:
        hosts[0].malformed(sender, reason)

    transport = Transport(settings.address, config.message_limit_bytes, on_malformed)
    thread = StoreThread(store, transport.wake)
    host = GcsHost(machine, thread, transport, config, shared_store=bool(settings.redis_url))
    hosts.append(host)

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        host.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for effect in machine.handle(loaded, time.monotonic()):
        if isinstance(effect, Say):
            say(effect.level, effect.text)
    say("info", f"GCS of {settings.cluster_id}, epoch {epoch}, pid {os.getpid()}, state in {store.describe()}")
    # Tables are large and hold no cycles: looking through all of them again and again would be in vain.
    garbage.freeze()
    garbage.set_threshold(50_000, 20, 100)
    code = host.run()
    if code == EXIT_REPLACED:
        # Without closing: the socket's file is the newer one's by now.
        sys.stderr.flush()
        os._exit(code)
    transport.close()
    return code


def main() -> None:
    """Read the settings from standard input and serve."""
    settings = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=GcsSettings)
    sys.exit(serve(settings))


if __name__ == "__main__":
    main()
