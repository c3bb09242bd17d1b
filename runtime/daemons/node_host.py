"""The host of the node manager's machine: one loop that carries events in and effects out."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from raynb._version import __version__
from raynb.runtime.adapters import machine_limits
from raynb.runtime.adapters.launch import ClusterInfo, ClusterOptions, LaunchReport
from raynb.runtime.adapters.processes import Process, become_subreaper, kill_children, reap_orphans
from raynb.runtime.adapters.session_dir import create_session, sweep
from raynb.runtime.adapters.shared_memory import store_capacity
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.node import NodeMachine
from raynb.runtime.core.node_effects import (
    ClientExited,
    EndProcess,
    ForgetPeer,
    Measured,
    Say,
    SpawnWorker,
    StopEverything,
    StopRequested,
    WatchProcess,
    WorkersStopped,
)
from raynb.runtime.core.node_identity import NodeIdentity
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store_effects import ClientFault, DropSegment, GrowStore, WalkExtent
from raynb.runtime.daemons.head_services import HeadServices
from raynb.runtime.daemons.log_files import open_log, say, tail, trim
from raynb.runtime.daemons.store_host import StoreHost
from raynb.runtime.daemons.worker_processes import WorkerProcesses
from raynb.runtime.messages.config import PROTOCOL_VERSION
from raynb.runtime.messages.gcs import Shutdown
from raynb.runtime.messages.ids import NODE_ID_BYTES

IDLE_TICK_S: Final = 0.5
LOOK_AROUND_S: Final = 1.0
TRIM_LOGS_S: Final = 10.0
START_PATIENCE_S: Final = 20.0
END_PATIENCE_S: Final = 0.5
NODE_IP: Final = "127.0.0.1"


class NodeHost:
    """One node, from its session to its end: `start`, `run`, and in any case `close`.

    Raises
    ------
    SessionError, UnsafePathError, OSError
        There is no place for the session.
    """

    def __init__(self, options: ClusterOptions) -> None:
        self._options = options
        self.failure = ""
        self._events: deque[Any] = deque()
        self._drivers: dict[str, Process] = {}
        self._stopped = ""
        self._report: Callable[[LaunchReport], None] | None = None
        become_subreaper()
        self._session = create_session(options.temp_dir or None)
        path = self._session.path
        self._log = path / "logs" / "node_manager.log"
        log = open_log(self._log)
        for fd in (1, 2):
            os.dup2(log, fd)
        os.close(log)
        self._transport = Transport(
            self._new_address(), options.config.message_limit_bytes, lambda peer, why: say("warning", f"{peer}: {why}")
        )
        config = options.config
        self.workers = WorkerProcesses(
            path, self._transport.address, options.worker_main, config, self._transport, self._post
        )
        self.head: HeadServices | None = None
        self._store: StoreHost | None = None
        self._meter = machine_limits.CpuMeter()

    def start(self) -> None:
        """Start everything, side by side.

        Raises
        ------
        StateStoreError, OSError
            Something of it can't be started.
        ValueError
            The options ask for what can't be.
        """
        options, path = self._options, self._session.path
        # The longest way to the first result is the workers': it begins first.
        self.workers.start_forkserver()
        config = msgspec.msgpack.encode(options.config)
        self.head = HeadServices(
            path, self._new_address(), self._session.name, options.redis, config, self._transport, self._post
        )
        self.head.start_gcs()
        self.head.start_redis()
        self._identity = me = self._describe(self.head.address)
        store = StoreMachine(int(me.resources["object_store_memory"]), options.config)
        self._store = StoreHost(me.store_prefix, self._post)
        self.machine = NodeMachine(me, options.config, store)
        if options.driver_pid:
            self._watch_client("", options.driver_pid)

    def __repr__(self) -> str:
        return f"<NodeHost {self._session!r}>"

    def _new_address(self) -> str:
        return f"ipc://{self._session.path}/p/{secrets.token_hex(8)}"

    def _describe(self, gcs: str) -> NodeIdentity:
        """What this node has, and is called."""
        options = self._options
        memory = machine_limits.memory_total_bytes()
        wanted, fraction = memory, options.config.store_fraction
        if options.object_store_memory is not None:
            wanted, fraction = options.object_store_memory, 1.0
        home = store_capacity(fraction, wanted, str(self._session.path))
        if home.note:
            say("warning", home.note)
        prefix = self._session.segment_prefix
        if home.directory != "/dev/shm":
            prefix = f"{home.directory}/{prefix}"
        cpus = machine_limits.cpu_count() if options.num_cpus is None else options.num_cpus
        gpus = machine_limits.gpu_count() if options.num_gpus is None else options.num_gpus
        resources = {
            "CPU": float(cpus),
            "memory": float(max(0, memory - home.capacity_bytes)),
            "object_store_memory": float(home.capacity_bytes),
            f"node:{NODE_IP}": 1.0,
            "node:__internal_head__": 1.0,
        }
        if gpus:
            resources["GPU"] = float(gpus)
        resources.update(options.resources)
        return NodeIdentity(
            node_id=secrets.token_bytes(NODE_ID_BYTES),
            address=self._transport.address,
            gcs=gcs,
            session=self._session.name,
            store_prefix=prefix,
            pid=os.getpid(),
            hostname=socket.gethostname(),
            ip=NODE_IP,
            raynb_version=__version__,
            python_version=".".join(map(str, sys.version_info[:3])),
            resources=resources,
            labels=options.labels,
            embedded=options.lifetime == "embedded",
            started=time.time(),
            started_at=time.monotonic(),
        )

    # -- the loop

    def _post(self, event: Any) -> None:
        """Have the machine handle an event; from any thread."""
        self._events.append(event)
        self._transport.wake()

    def run(self, report: Callable[[LaunchReport], None]) -> None:
        """Until the machine says stop. ``report`` is called once the cluster can be joined."""
        assert self.head is not None
        signal.signal(signal.SIGTERM, lambda signum, frame: self._post(StopRequested("it got SIGTERM")))
        self._report = report
        self.head.wait_for_redis()
        self._register()
        begun = time.monotonic()
        next_tick = look_around = trim_logs = begun
        while not self._stopped:
            now = time.monotonic()
            timeout = 0.0 if self._events else max(0.0, next_tick - now)
            for sender, message in self._transport.receive(timeout):
                self._handle(Received(sender, message))
            while self._events and not self._stopped:
                self._handle(self._events.popleft())
            now = time.monotonic()
            if now < next_tick and not (now < next_tick - self._options.config.tick_s and not self.machine.idle):
                continue
            self._tick(now)
            if now >= look_around:
                look_around = now + LOOK_AROUND_S
                self._look_around()
            if now >= trim_logs:
                trim_logs = now + TRIM_LOGS_S
                trim(self._session.logs)
            next_tick = now + (IDLE_TICK_S if self.machine.idle else self._options.config.tick_s)
            if self._report is not None:
                self._check_start(now - begun)

    def _handle(self, event: Any) -> None:
        for effect in self.machine.handle(event, time.monotonic()):
            self._carry_out(effect)
            if self._stopped:
                return
        if self._report is not None and self.machine.reports.registered:
            self._say_ready()

    def _tick(self, now: float) -> None:
        assert self.head is not None
        self._handle(Tick())
        self.workers.tick(now)
        self.head.tick(now)

    def _look_around(self) -> None:
        """What nobody tells: load, stopped workers, orphans."""
        assert self.head is not None
        used, total = machine_limits.memory_used_bytes(), self._memory_total()
        self._post(Measured(self._meter.percent(), used, total))
        self._post(WorkersStopped(self.workers.stopped()))
        reap_orphans(self.workers.pids() | self.head.pids())

    def _memory_total(self) -> int:
        resources = self._identity.resources
        return int(resources["memory"] + resources["object_store_memory"])

    # -- effects

    def _carry_out(self, effect: Any) -> None:
        if isinstance(effect, Send):
            self._transport.send(effect.to, effect.message)
        elif isinstance(effect, SpawnWorker):
            self.workers.order(effect.token, effect.num_cpus)
        elif isinstance(effect, EndProcess):
            self.workers.end(effect.token, effect.force)
        elif isinstance(effect, GrowStore | DropSegment | WalkExtent):
            assert self._store is not None
            self._store.do(effect)
        elif isinstance(effect, ForgetPeer):
            self._transport.forget(effect.address)
            driver = self._drivers.pop(effect.address, None)
            if driver is not None:
                self._unwatch(driver)
        elif isinstance(effect, WatchProcess):
            self._watch_client(effect.address, effect.pid)
        elif isinstance(effect, Say):
            say(effect.level, effect.text)
        elif isinstance(effect, ClientFault):
            say("warning", f"{effect.address}: {effect.message}")
        elif isinstance(effect, StopEverything):
            self._stopped = effect.reason
        else:
            raise TypeError(f"the node manager can't carry out {effect!r}")

    def _watch_client(self, address: str, pid: int) -> None:
        try:
            process = Process(pid, is_child=False)
        except OSError as error:
            self._post(ClientExited(address, f"there is no process {pid}: {error}"))
            return
        self._drivers[address] = process
        self._transport.watch(process.fileno(), partial(self._on_client_exit, address))

    def _on_client_exit(self, address: str) -> None:
        process = self._drivers.get(address)
        if process is not None and process.collect() is not None:
            del self._drivers[address]
            self._unwatch(process)
            self._post(ClientExited(address, "its process ended"))

    def _unwatch(self, process: Process) -> None:
        self._transport.unwatch(process.fileno())
        process.close()

    # -- starting

    def _register(self) -> None:
        """Put the cluster on the list of this user's clusters."""
        from raynb.runtime.adapters.registry import ClusterEntry, register

        options, me = self._options, self._identity
        entry = ClusterEntry(
            cluster_id=self._session.name,
            name=options.name,
            session_dir=str(self._session.path),
            address=me.address,
            gcs_address=me.gcs,
            pid=me.pid,
            python=sys.executable,
            raynb_version=__version__,
            protocol_version=PROTOCOL_VERSION,
            started_at=me.started,
            notebook=options.notebook,
            host=me.hostname,
        )
        register(entry, directory=self._registry)

    @property
    def _registry(self) -> Path | None:
        return Path(self._options.registry_dir) if self._options.registry_dir else None

    def _check_start(self, passed_s: float) -> None:
        """A daemon that ends before the cluster could be joined once: give up, and say why."""
        assert self.head is not None
        logs = self._session.logs
        if self.head.gcs_exit:
            self._fail(f"its GCS ended ({self.head.gcs_exit})", logs / "gcs.log")
        elif self.workers.forkserver_exit:
            self._fail(f"its forkserver ended ({self.workers.forkserver_exit})", logs / "forkserver.log")
        elif passed_s > START_PATIENCE_S:
            self._fail(f"its GCS was not there within {START_PATIENCE_S:g} s", logs / "gcs.log")

    def _fail(self, reason: str, log: Path) -> None:
        text = tail(log)
        self.failure = f"{reason}. The end of its log:\n{text}" if text else reason
        self._stopped = reason

    def _say_ready(self) -> None:
        assert self.head is not None and self._report is not None
        options, me = self._options, self._identity
        processes = {"gcs": self.head.gcs, "redis": self.head.redis_process, "forkserver": self.workers.forkserver}
        info = ClusterInfo(
            name=options.name or self._session.name,
            session=self._session.name,
            session_dir=str(self._session.path),
            node_manager=me.address,
            gcs=me.gcs,
            pid=me.pid,
            started=me.started,
            lifetime=options.lifetime,
            namespace=options.namespace,
            python=sys.executable,
            python_version=me.python_version,
            raynb_version=__version__,
            protocol=PROTOCOL_VERSION,
            redis_address=self.head.store_address,
            state_store=self.head.store_kind,
            store_prefix=me.store_prefix,
            resources=me.resources,
            driver_pid=options.driver_pid,
            hostname=me.hostname,
            node_ip=me.ip,
            pids={"node_manager": me.pid} | {name: process.pid for name, process in processes.items() if process},
        )
        self._report(LaunchReport(info=info))
        self._report = None
        # Only now: it may have much to do.
        swept = sweep(options.temp_dir or None)
        if swept.sessions or swept.segments:
            say("info", f"removed what dead sessions left: {swept}")

    # -- the end

    def close(self) -> None:
        """End every process, remove every file, socket and segment. Idempotent enough for a ``finally``."""
        from raynb.runtime.adapters.registry import unregister

        with suppress(OSError):
            unregister(self._session.name, directory=self._registry)
        if self.head is not None:
            self._transport.send(self.head.address, Shutdown())
        self.workers.end_all(END_PATIENCE_S / 2)
        if self.head is not None:
            self.head.end(END_PATIENCE_S)
        left = kill_children(END_PATIENCE_S)
        if left:
            say("error", f"{left} processes could not be ended")
        if self._store is not None:
            self._store.close(END_PATIENCE_S)
        self._transport.close()
        self._session.remove()
