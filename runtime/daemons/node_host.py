"""The host of the node manager's machine: one loop that carries events in and effects out."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from raynb._version import __version__
from raynb.runtime.adapters import machine_limits
from raynb.runtime.adapters.launch import ClusterInfo, LaunchReport, read_cluster_info
from raynb.runtime.adapters.processes import Process, reap_orphans
from raynb.runtime.adapters.session_dir import sweep
from raynb.runtime.adapters.shared_memory import store_capacity
from raynb.runtime.adapters.spill_place import spill_place
from raynb.runtime.adapters.transport import Transport
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.node import NodeMachine
from raynb.runtime.core.node_effects import (
    ClientExited,
    EndProcess,
    ForgetPeer,
    LookAtPage,
    Measured,
    MemoryMeasured,
    PageSeen,
    Say,
    SpawnWorker,
    StopEverything,
    StopRequested,
    WatchProcess,
    WorkersStopped,
)
from raynb.runtime.core.node_identity import NodeIdentity, refusal
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store_effects import (
    ClientFault,
    DropSegment,
    GrowStore,
    SendChunk,
    WalkExtent,
    WriteChunk,
)
from raynb.runtime.daemons.log_files import say, tail, trim
from raynb.runtime.daemons.node_parts import END_PATIENCE_S, NodeParts
from raynb.runtime.daemons.store_host import StoreHost
from raynb.runtime.messages.config import PROTOCOL_VERSION
from raynb.runtime.messages.gcs import Shutdown
from raynb.runtime.messages.ids import NODE_ID_BYTES
from raynb.runtime.messages.node import JoinNode
from raynb.runtime.messages.transfers import ObjectChunk

IDLE_TICK_S: Final = 0.5
LOOK_AROUND_S: Final = 1.0
TRIM_LOGS_S: Final = 10.0
START_PATIENCE_S: Final = 20.0
NEAR_LIMIT: Final = 0.8
"""From this part of the memory that may be used, who uses it is looked at."""
NODE_IP: Final = "127.0.0.1"


def refused(cluster: ClusterInfo) -> str:
    """Why this process can't be a node of that cluster; empty if it can."""
    mine = ".".join(map(str, sys.version_info[:3]))
    me = JoinNode("node", os.getpid(), "", __version__, mine, PROTOCOL_VERSION)
    return refusal(me, cluster.python_version, cluster.raynb_version, cluster.protocol)


class NodeHost:
    """The node manager, once its parts have been started: `run`, and in any case `close`.

    Raises
    ------
    ValueError
        The options ask for what can't be.
    """

    def __init__(self, parts: NodeParts) -> None:
        self._options = options = parts.options
        if options.join is not None and (why := refused(options.join)):
            raise ValueError(why)
        self._parts = parts
        self.failure = ""
        self._drivers: dict[str, Process] = {}
        self._notes: list[str] = []
        self._stopped = ""
        self._report: Callable[[LaunchReport], None] | None = None
        self._transport = Transport(
            parts.address, options.config.message_limit_bytes, lambda peer, why: say("warning", f"{peer}: {why}")
        )
        parts.watch(self._transport, self._transport.wake)
        self._disk = spill_place(parts.session, options.config)
        if self._disk.note:
            self._say_to_all(self._disk.note)
        self._identity = me = self._describe()
        capacity = int(me.resources["object_store_memory"])
        store = StoreMachine(capacity, options.config, spills=bool(self._disk.prefix), address=me.address)
        self._store = StoreHost(me.store_prefix, self._disk, parts.post)
        self.machine = NodeMachine(me, options.config, store)
        self._meter = machine_limits.CpuMeter()
        self._look_at_memory = 0.0
        if options.driver_pid:
            self._watch_client("", options.driver_pid)

    def __repr__(self) -> str:
        return f"<NodeHost {self._parts!r} {self.machine!r}>"

    def _describe(self) -> NodeIdentity:
        """What this node has, and is called."""
        options = self._options
        memory = machine_limits.memory_total_bytes()
        wanted, fraction = memory, options.config.store_fraction
        if options.object_store_memory is not None:
            wanted, fraction = options.object_store_memory, 1.0
        home = store_capacity(fraction, wanted, str(self._parts.session.path))
        if home.note:
            self._say_to_all(home.note)
        prefix = self._parts.session.segment_prefix
        if home.directory != "/dev/shm":
            prefix = f"{home.directory}/{prefix}"
        cpus = machine_limits.cpu_count() if options.num_cpus is None else options.num_cpus
        gpus = machine_limits.gpu_count() if options.num_gpus is None else options.num_gpus
        resources = {
            "CPU": float(cpus),
            "memory": float(max(0, memory - home.capacity_bytes)),
            "object_store_memory": float(home.capacity_bytes),
            f"node:{NODE_IP}": 1.0,
        }
        head, joined = self._parts.head, options.join
        if head is not None:
            resources["node:__internal_head__"] = 1.0
        if gpus:
            resources["GPU"] = float(gpus)
        resources.update(options.resources)
        return NodeIdentity(
            node_id=secrets.token_bytes(NODE_ID_BYTES),
            address=self._transport.address,
            gcs=self._parts.gcs_address,
            session=self._parts.session.name,
            store_prefix=prefix,
            gpu_names=machine_limits.visible_gpus() or [],
            spill_prefix=self._disk.prefix,
            pid=os.getpid(),
            hostname=socket.gethostname(),
            ip=NODE_IP,
            name=options.node_name,
            raynb_version=__version__,
            python_version=".".join(map(str, sys.version_info[:3])),
            resources=resources,
            cores=machine_limits.cpu_count(),
            labels=options.labels,
            head=joined.node_manager if joined is not None else "",
            head_pid=joined.pid if joined is not None else 0,
            embedded=options.lifetime == "embedded" and joined is None,
            started=time.time(),
            started_at=time.monotonic(),
        )

    def _say_to_all(self, note: str) -> None:
        """To the log, and to whoever starts the cluster."""
        say("warning", note)
        self._notes.append(note)

    # -- the loop

    def run(self, report: Callable[[LaunchReport], None]) -> None:
        """Until the machine says stop. ``report`` is called once the cluster can be joined."""
        signal.signal(signal.SIGTERM, lambda signum, frame: self._parts.post(StopRequested("it got SIGTERM")))
        self._report = report
        begun = last_tick = time.monotonic()
        self._tick(begun)  # workers are ordered
        self._info = self._describe_cluster()
        self._publish()
        look_around = trim_logs = begun
        while not self._stopped:
            pause = self._pause()
            timeout = 0.0 if self._parts.events else max(0.0, last_tick + pause - time.monotonic())
            for sender, message in self._transport.receive(timeout):
                self._handle(Received(sender, message))
            while self._parts.events and not self._stopped:
                self._handle(self._parts.events.popleft())
            now = time.monotonic()
            if now - last_tick < min(pause, self._pause()):
                continue
            last_tick = now
            self._tick(now)
            self._watch_memory(now)
            if now >= look_around:
                look_around = now + LOOK_AROUND_S
                self._look_around()
            if now >= trim_logs:
                trim_logs = now + TRIM_LOGS_S
                trim(self._parts.session.logs)
            if self._report is not None:
                self._check_start(now - begun)

    def _pause(self) -> float:
        """Seconds between two ticks."""
        return IDLE_TICK_S if self.machine.idle else self._options.config.tick_s

    def _handle(self, event: Any) -> None:
        for effect in self.machine.handle(event, time.monotonic()):
            self._carry_out(effect)
            if self._stopped:
                return
        if self._report is not None and self.machine.reports.registered and self._parts.workers.proved:
            self._say_ready()

    def _tick(self, now: float) -> None:
        self._handle(Tick())
        self._parts.workers.tick(now)
        if self._parts.head is not None:
            self._parts.head.tick(now)

    def _look_around(self) -> None:
        """What nobody tells: load, stopped workers, orphans."""
        used, total = machine_limits.memory_used_bytes(), machine_limits.memory_total_bytes()
        self._parts.post(Measured(self._meter.percent(), used, total))
        self._parts.post(WorkersStopped(self._parts.workers.stopped()))
        reap_orphans(self._parts.pids())

    def _watch_memory(self, now: float) -> None:
        """Measure what the machine uses, and who, where it may become too much."""
        config = self._options.config
        if not config.memory_monitor_s or now < self._look_at_memory:
            return
        self._look_at_memory = now + config.memory_monitor_s
        used, total = machine_limits.memory_used_bytes(), machine_limits.memory_total_bytes()
        workers: dict[str, int] = {}
        if config.memory_limit_bytes or used > NEAR_LIMIT * config.memory_usage_threshold * total:
            workers = machine_limits.memory_of_groups(self._parts.workers.pids_by_token())
        self._parts.post(MemoryMeasured(used, total, workers))

    # -- effects

    def _carry_out(self, effect: Any) -> None:
        if isinstance(effect, Send):
            self._transport.send(effect.to, effect.message)
        elif isinstance(effect, SpawnWorker):
            self._parts.workers.order(effect.token)
        elif isinstance(effect, EndProcess):
            self._parts.workers.end(effect.token, effect.force)
        elif isinstance(effect, GrowStore | DropSegment | WalkExtent):
            self._store.do(effect)
        elif isinstance(effect, SendChunk):
            chunk = ObjectChunk(effect.oid, effect.grant, effect.offset, effect.note)
            self._transport.send(effect.to, chunk, self._store.read(effect))
        elif isinstance(effect, WriteChunk):
            self._store.write(effect)
        elif isinstance(effect, ForgetPeer):
            self._transport.forget(effect.address)
            driver = self._drivers.pop(effect.address, None)
            if driver is not None:
                self._unwatch(driver)
        elif isinstance(effect, LookAtPage):
            task_id = self._parts.workers.begun_last(effect.token)
            if task_id:
                self._parts.post(PageSeen(effect.token, task_id))
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
            self._parts.post(ClientExited(address, f"there is no process {pid}: {error}"))
            return
        self._drivers[address] = process
        self._transport.watch(process.fileno(), partial(self._on_client_exit, address))

    def _on_client_exit(self, address: str) -> None:
        process = self._drivers.get(address)
        if process is not None:
            self._transport.unwatch(process.fileno())
            self._transport.after_all_of(address, partial(self._client_exited, address))

    def _client_exited(self, address: str) -> None:
        process = self._drivers.pop(address, None)
        if process is not None:
            process.close()
            self._parts.post(ClientExited(address, "its process ended"))

    def _unwatch(self, process: Process) -> None:
        self._transport.unwatch(process.fileno())
        process.close()

    # -- starting

    def _publish(self) -> None:
        """Say where the cluster is: in the session, and on the list of this user's clusters."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self._parts.session.config, flags, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self._info)))
        if self._parts.head is None:
            return  # the cluster's entry is its head's
        from raynb.runtime.adapters.registry import ClusterEntry, register

        options, me = self._options, self._identity
        entry = ClusterEntry(
            cluster_id=self._parts.session.name,
            name=options.name,
            session_dir=str(self._parts.session.path),
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
        logs, head = self._parts.session.logs, self._parts.head
        if head is not None and head.gcs_exit:
            self._fail(f"its GCS ended ({head.gcs_exit})", logs / "gcs.log")
        elif head is not None and head.redis_exit:
            self._fail(f"its redis-server ended ({head.redis_exit})", logs / "redis.log")
        elif self._parts.workers.forkserver_exit:
            self._fail(f"its forkserver ended ({self._parts.workers.forkserver_exit})", logs / "forkserver.log")
        elif passed_s > START_PATIENCE_S:
            log = "gcs.log" if head is not None else "node_manager.log"
            self._fail(f"its GCS was not there within {START_PATIENCE_S:g} s", logs / log)

    def _fail(self, reason: str, log: Path) -> None:
        text = tail(log)
        self.failure = f"{reason}. The end of its log:\n{text}" if text else reason
        self._stopped = reason

    def _describe_cluster(self) -> ClusterInfo:
        options, me = self._options, self._identity
        head, joined = self._parts.head, options.join
        processes = {"forkserver": self._parts.workers.forkserver}
        if head is not None:
            processes |= {"gcs": head.gcs, "redis": head.redis_process}
        return ClusterInfo(
            name=joined.name if joined is not None else options.name or self._parts.session.name,
            session=self._parts.session.name,
            session_dir=str(self._parts.session.path),
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
            redis_address=head.store_address if head is not None else "",
            state_store=head.store_kind if head is not None else "",
            store_prefix=me.store_prefix,
            spill_prefix=me.spill_prefix,
            resources=me.resources,
            driver_pid=options.driver_pid,
            hostname=me.hostname,
            node_ip=me.ip,
            config=options.config,
            notes=self._notes + (self._oversubscribed(me.resources["CPU"], me.cores) if head is not None else []),
            node_id=me.node_id.hex(),
            cluster=joined.cluster if joined is not None else self._parts.session.name,
            pids={"node_manager": me.pid} | {name: process.pid for name, process in processes.items() if process},
        )

    def _oversubscribed(self, cpus: float, cores: int) -> list[str]:
        """A note if the clusters of this user offer more CPUs than this machine has."""
        from raynb.runtime.adapters.registry import clusters

        others: list[float] = []
        for entry in clusters(directory=self._registry):
            # One that ends just now, or is of another machine, takes nothing away.
            with suppress(OSError, ValueError, msgspec.DecodeError):
                others.append(read_cluster_info(Path(entry.session_dir)).resources.get("CPU", 0.0))
        if not others or sum(others) + cpus <= cores:
            return []
        plural = "s" if len(others) > 1 else ""
        return [
            f"this cluster offers {cpus:g} CPUs and {len(others)} other{plural} of yours {sum(others):g}, but there "
            f"are {cores} here: they will slow each other down. `raynb status` lists them, `raynb stop` stops one."
        ]

    def _say_ready(self) -> None:
        assert self._report is not None
        self._report(LaunchReport(info=self._info))
        self._report = None
        # Only now: it may have much to do.
        swept = sweep(self._options.temp_dir or None)
        if swept.sessions or swept.segments:
            say("info", f"removed what dead sessions left: {swept}")

    # -- the end

    def close(self) -> None:
        """Say goodbye; end every process; remove every segment. The session's folder is left to `NodeParts`."""
        from raynb.runtime.adapters.registry import unregister

        if self._parts.head is not None:
            with suppress(OSError):
                unregister(self._parts.session.name, directory=self._registry)
            self._transport.send(self._identity.gcs, Shutdown())
        self._parts.end()
        self._store.close(END_PATIENCE_S)
        self._transport.close(linger_s=0.05)  # whoever has not heard it by now is gone
