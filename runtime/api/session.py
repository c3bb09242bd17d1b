"""``init`` and ``shutdown``: a process's connection to a cluster, and the cluster that it brings up for itself."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from raynb.runtime.adapters.launch import ClusterInfo, ClusterOptions, launch_cluster, read_cluster_info
from raynb.runtime.adapters.processes import Process
from raynb.runtime.adapters.session_dir import sweep
from raynb.runtime.api import breakpoints, ends, init_arguments, outputs, without_effect
from raynb.runtime.api import local_mode as here
from raynb.runtime.api.job_config import JobConfig, with_environment
from raynb.runtime.api.runtime_env import check_fields, resolved
from raynb.runtime.api.signals import end_orderly_on_sigterm
from raynb.runtime.api.system_config import config_of
from raynb.runtime.client import log_records, refs
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import Execution
from raynb.runtime.client.join import join
from raynb.runtime.client.log_records import LoggingConfig
from raynb.runtime.client.project import ProjectWatch
from raynb.runtime.core.failed_tasks import KeepFailures
from raynb.runtime.core.inbox import Ask
from raynb.runtime.messages import Config, Message
from raynb.runtime.messages.errors import RayError
from raynb.runtime.messages.gcs import FinishJob, RegisterJob
from raynb.runtime.messages.ids import JOB_ID_BYTES, TASK_ID_BYTES
from raynb.runtime.messages.node import LeaveNode, StopNode
from raynb.runtime.messages.tasks import ContextDef, LastWords, TaskOutput, TaskStopped

if TYPE_CHECKING:
    from raynb.runtime.adapters.transport import Transport

TWICE = (
    "Maybe you called ray.init twice by accident? This error can be suppressed by passing in "
    "'ignore_reinit_error=True' or by calling 'ray.shutdown()' prior to 'ray.init()'."
)


class Session:
    """What `init` made: the cluster, the client, and whether the cluster ends with it."""

    def __init__(self, info: ClusterInfo, client: Client, owns_cluster: bool, daemon: Process | None) -> None:
        self.info = info
        self.client = client
        self.owns_cluster = owns_cluster
        self.daemon = daemon


class ClusterContext(Mapping[str, Any]):
    """What ``init`` returns: a mapping with the keys that Ray programs print, and a context manager that shuts down."""

    def __init__(self, info: ClusterInfo, node_id: bytes) -> None:
        self.address_info: dict[str, Any] = {
            "node_ip_address": info.node_ip,
            "node_id": node_id.hex(),
            "address": info.node_manager,
            "gcs_address": info.gcs,
            "redis_address": info.redis_address or None,
            "object_store_address": f"/dev/shm/{info.store_prefix}",
            "raylet_socket_name": info.node_manager,
            "session_dir": info.session_dir,
            "metrics_export_port": 0,
            "webui_url": None,
        }
        self.dashboard_url = ""
        self.python_version = info.python_version
        self.raynb_version = self.ray_version = info.raynb_version
        self._info = info

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.address_info)

    def __len__(self) -> int:
        return len(self.address_info)

    def __repr__(self) -> str:
        cpus = self._info.resources.get("CPU", 0)
        return f"<raynb cluster {self._info.name!r}: {cpus:g} CPUs, state in {self._info.state_store}>"

    def __enter__(self) -> ClusterContext:
        return self

    def __exit__(self, *exc: object) -> None:
        shutdown()

    def disconnect(self) -> None:
        """As `shutdown`."""
        shutdown()


_session: Session | None = None
_lock = threading.RLock()

#: Set by the kernel extension: told of each new connection.
on_connect: Callable[[Client], None] | None = None

#: Set by the kernel extension: names the notebook, the same after a restart of its kernel; empty elsewhere.
notebook = ""

#: Set by the kernel extension when its kernel ends to be started again: the cluster waits for that.
restarting = False

#: Set by the kernel extension: failed tasks are kept, with their inputs, to be run again by a debugger.
keeps_failures = False

#: Set by the kernel extension: seconds that a cluster outlives a kernel that died without a word.
driver_grace_s = 0.0


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: dict[str, float] | None = None,
    labels: dict[str, str] | None = None,
    object_store_memory: float | None = None,
    local_mode: bool = False,
    ignore_reinit_error: bool = False,
    namespace: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    job_config: JobConfig | None = None,
    redis: str = "",
    name: str = "",
    log_to_driver: bool | None = None,
    logging_config: LoggingConfig | None = None,
    _system_config: dict[str, Any] | None = None,
    _temp_dir: str = "",
    _memory: float | None = None,
    _node_name: str | None = None,
    **kwargs: Any,
) -> ClusterContext:
    """Connect this process to a cluster; where there is none, start one on this machine that ends with the process.

    Parameters
    ----------
    address
        ``"auto"``: a running cluster on this machine; or a cluster's name or address; ``"local"``: a new one; None:
        what RAY_ADDRESS says, else (not in notebooks, nor with options of a new one) the `Cluster` of this process or
        what ``raynb start`` has started last; else a new one.
    num_cpus, num_gpus, resources, labels, object_store_memory
        What the new cluster offers; by default the CPUs of machine or container, and 30 % of its bytes for objects.
    local_mode, ignore_reinit_error
        Tasks and actors run in this process, each when it is called; a present connection is returned, not an error.
    namespace
        Where named actors are looked for; by default one of this process's own.
    runtime_env, job_config
        What the processes of this job find (`raynb.runtime_env.RuntimeEnv`); its tasks and actors may add to it. The
        other says namespace and environment where they are not given.
    redis, name
        URL of a Redis to keep the new cluster's state in, instead of a private one; its name, for people.
    log_to_driver, logging_config, logging_level, logging_format
        False: what tasks print is not shown here, only in logs; how records of Python's logging are written anywhere;
        how raynb's own are, to standard error, in this process (with ``configure_logging=False``, as before).
    _system_config
        Fields of `Config` to change, or Ray's names (`system_config`); ``object_spilling_directory`` may stand alone.

    Raises
    ------
    RuntimeError
        Already connected.
    ValueError
        An argument that makes no sense, or is not supported; the message names it.
    """
    new = {
        "num_cpus": num_cpus, "num_gpus": num_gpus, "resources": resources, "labels": labels, "redis": redis,
        "object_store_memory": object_store_memory, "_memory": _memory, "name": name, "node_name": _node_name,
        "_system_config": init_arguments.with_spilling_directory(_system_config, kwargs),
    }  # fmt: skip
    with _lock:
        if (present := _present(ignore_reinit_error)) is not None:
            return present
        init_arguments.check_given(namespace, job_config, kwargs)
        outputs.begin(log_to_driver, logging_config, kwargs)
        job_config, runtime_env = with_environment(job_config or JobConfig(), runtime_env)
        context = _init(address, new, namespace, runtime_env, job_config, _temp_dir, kwargs)
        context.address_info["metrics_export_port"] = init_arguments.serve_metrics(kwargs)
        here.running = here.LocalMode(connect()) if local_mode else None
        return context


def _present(may_be: bool) -> ClusterContext | None:
    """The cluster that this process, a driver or a worker, is in; an error unless that may be."""
    client = refs._current
    if client is None or client.pid != os.getpid():
        return None
    if not may_be:
        raise RuntimeError(TWICE)
    return ClusterContext(read_cluster_info(Path(client.session_dir)), client.joined.node_id)


def _init(
    address: str | None, new: Mapping[str, Any], namespace: str | None, env: Mapping[str, Any] | None, job: JobConfig,
    temp_dir: str, kwargs: Mapping[str, Any],
) -> ClusterContext:  # fmt: skip
    global _session
    without_effect.tell("init({name}={value!r})", kwargs, without_effect.OF_INIT)
    namespace, env = namespace or job.ray_namespace, init_arguments.given_environment(env, job, kwargs)
    check_fields(env)
    temp_dir = temp_dir or os.environ.get("RAY_TMPDIR", "")
    address = init_arguments.chosen_address(address, new, may_join=not (notebook or temp_dir))
    if temp_dir and not os.path.isabs(temp_dir):
        raise ValueError(f"_temp_dir must be an absolute path, not {temp_dir!r}")
    options = _options(new, namespace, temp_dir)
    info, owns = _find_or_launch(address, options)
    _session = _connect(info, namespace or "", options.config, owns, job)
    _register_job(_session.client, env, job.metadata)
    if on_connect is not None:
        on_connect(_session.client)
    else:
        end_orderly_on_sigterm()
    return ClusterContext(info, _session.client.joined.node_id)


def _options(new: Mapping[str, Any], namespace: str | None, temp_dir: str) -> ClusterOptions:
    """Of a cluster with what was asked for."""
    memory = {} if new["_memory"] is None else {"memory": float(new["_memory"])}
    return ClusterOptions(
        num_cpus=new["num_cpus"], num_gpus=new["num_gpus"], resources={**(new["resources"] or {}), **memory},
        labels=dict(new["labels"] or {}), namespace=namespace or "",
        object_store_memory=None if new["object_store_memory"] is None else int(new["object_store_memory"]),
        redis=new["redis"], name=new["name"] or "", node_name=new["node_name"] or "", notebook=notebook,
        driver_pid=os.getpid(), config=config_of(new["_system_config"]), temp_dir=temp_dir,
    )  # fmt: skip


def _register_job(client: Client, given: Mapping[str, Any] | None, metadata: dict[str, str]) -> None:
    """Tell who has come, and what the tasks of this job find."""
    try:
        client.runtime_env = resolved(given, client)
    except BaseException:
        shutdown()
        raise
    context, kernel = client.root.context, notebook.removeprefix("kernel-")
    who = RegisterJob(
        0, context.job, client.address, os.getpid(), context.namespace, _script(), time.time(), kernel,
        client.runtime_env, metadata,
    )  # fmt: skip
    client.post(Ask(client.gcs, who, None))  # until it is durable: the GCS may end just now


def _find_or_launch(address: str | None, options: ClusterOptions) -> tuple[ClusterInfo, bool]:
    """The cluster that is meant, and whether it ends with this process."""
    if address not in (None, "", "local"):
        return find_cluster(str(address)), False
    earlier = _earlier_cluster(options) if not address else None
    if earlier is not None:
        print(f"raynb: this notebook has its cluster of before again ({earlier.name}), with what is detached there.")
        return earlier, True
    if notebook:
        # After a restart of its kernel, named actors are to be found again.
        options.namespace = options.namespace or str(uuid.uuid4())
    info = launch_cluster(options)
    log = logging.getLogger("raynb")
    log.info("Started a local raynb instance, the cluster %s.", info.name)
    for note in info.notes:
        log.warning("raynb: %s", note)
    return info, True


def find_cluster(address: str) -> ClusterInfo:
    """A running cluster of this user on this machine, by name, address or ``"auto"``."""
    from raynb.runtime.adapters.registry import find

    return read_cluster_info(Path(find(address, notebook=notebook).session_dir))


def _earlier_cluster(options: ClusterOptions) -> ClusterInfo | None:
    """The cluster that this notebook had before its kernel was restarted, if it is there and what is asked for."""
    from raynb.runtime.adapters.registry import of_notebook

    own = of_notebook(notebook)
    if own is None:
        return None
    info = read_cluster_info(Path(own.session_dir))
    asked = {"CPU": options.num_cpus, "GPU": options.num_gpus, "object_store_memory": options.object_store_memory}
    asked |= options.resources
    has = info.resources
    different = [f"{name}={amount:g}" for name, amount in asked.items() if amount not in (None, has.get(name, 0.0))]
    if options.redis or (options.name and options.name != info.name):
        different.append("another name or Redis")
    if not different:
        return info
    print(
        f"raynb: this notebook's cluster of before ({info.name}) is not what is asked for now "
        f"({', '.join(different)}): another one is started, and the one of before ends by itself within a minute."
    )
    return None


def _connect(info: ClusterInfo, namespace: str, config: Config, owns: bool, job_config: JobConfig) -> Session:
    from raynb.runtime.adapters.transport import Transport  # here: an import of raynb does without ZeroMQ

    job = secrets.token_bytes(JOB_ID_BYTES)
    # A notebook's kernel that is started again is where it was; otherwise each driver has its own, as in Ray.
    namespace = namespace or (info.namespace if notebook else "") or str(uuid.uuid4())
    transport = Transport(f"ipc://{info.session_dir}/p/{secrets.token_hex(8)}", config.message_limit_bytes)
    script = _script()
    try:
        joined, early = join(
            transport,
            info.node_manager,
            "driver",
            script,
            job=job,
            namespace=namespace,
            grace_s=driver_grace_s,
        )
        if joined.error:
            raise RuntimeError(f"the cluster refused this process: {joined.error}")
    except BaseException:
        transport.close()
        raise
    context = ContextDef(
        0, job, namespace, transport.address, sys_path=[*_import_path(), *job_config.code_search_path], cwd=_folder(),
        detached=job_config.default_actor_lifetime == "detached", logging=log_records.current(),
    )  # fmt: skip
    client = Client(
        transport,
        joined,
        info.node_manager,
        Execution(context, bytes(TASK_ID_BYTES), "driver"),
        on_foreign=_on_foreign,
    )
    client.host.on_failure = lambda found: outputs.show_failure(found) if _session is not None else None
    daemon = _watch_node_manager(transport, client, info)
    client.project = ProjectWatch(lambda: _project_reloaded(client))
    refs.set_current(client)
    client.host.start()
    for sender, message in early:
        client.host.call(lambda sender=sender, message=message: _on_foreign(sender, message))  # type: ignore[misc]
    atexit.register(shutdown, _exiting_interpreter=True)
    if keeps_failures:
        client.post(KeepFailures(client.config.failures_kept, client.config.failures_kept_bytes))
    return Session(info, client, owns, daemon)


def enter_cell(client: Client, cell: str, figure_formats: Collection[str] = ()) -> None:
    """From now on this process works for a run of a cell, with the import path and the folder that it has now."""
    path, before = _import_path(), client.root.context.sys_path
    formats = sorted(figure_formats)
    if client.project is not None:
        client.project.cell_begins()
    # One list for all cells: contexts are kept.
    _change_root(client, cell=cell, sys_path=before if path == before else path, cwd=_folder(), figure_formats=formats)


def _change_root(client: Client, **changes: Any) -> None:
    root = client.root
    context = client.adopt_context(msgspec.structs.replace(root.context, **changes))
    client.root = msgspec.structs.replace(root, context=context)


def _project_reloaded(client: Client) -> None:
    """Tasks from now on are of a context that tells workers to look at their modules."""
    _change_root(client, code=client.root.context.code + 1)


def _watch_node_manager(transport: Transport, client: Client, info: ClusterInfo) -> Process | None:
    """The node manager's death is seen from its process, not from silence."""
    try:
        daemon = Process(info.pid, is_child=False)
    except ProcessLookupError:
        client.host.call(lambda: client.host.node_manager_died("its process has ended"))
        return None
    lost = partial(client.host.node_manager_died, f"its process (pid {info.pid}) has ended")

    def died() -> None:
        transport.unwatch(daemon.fileno())
        transport.after_all_of(client.node_manager, lost)

    transport.watch(daemon.fileno(), died)
    return daemon


def _import_path() -> list[str]:
    """The driver's own import path: the script's folder first, the working directory where Python has it as ''."""
    return [path or _folder() for path in sys.path]


def _folder() -> str:
    """The working directory; empty where it is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _script() -> str:
    main = sys.modules.get("__main__")
    return str(Path(getattr(main, "__file__", None) or sys.argv[0] or "python").name)


def _on_foreign(sender: str, message: Message) -> None:
    if isinstance(message, TaskOutput | LastWords):
        outputs.hear(sender, message)
    elif isinstance(message, TaskStopped):
        breakpoints.note(message)


def connect() -> Client:
    """This process's client; starts an embedded cluster where `init` was not called."""
    client = refs._current
    if client is None:
        init_arguments.check_auto_connect()
        init()
        client = refs.current()
    elif client.pid != os.getpid():
        raise RuntimeError(
            "this process was forked from one that uses raynb, and can't use that one's connection: call init() in it "
            "first (with address='auto' to reach the same cluster)"
        )
    return client


def session() -> Session:
    """The present connection; raises if there is none."""
    if _session is None:
        raise RuntimeError("raynb is not connected to a cluster: call init() first")
    return _session


def is_initialized() -> bool:
    """Whether this process is connected to a cluster."""
    return refs.connected()


def shutdown(*, wait_for_processes: bool = False, _exiting_interpreter: bool = False) -> None:
    """Leave the cluster; one that `init` started ends, and everything of it is gone when this returns.

    References and handles become inert. Idempotent.
    """
    global _session
    if (present := _session) is not None and os.getpid() == present.client.pid:
        ends.prepare(present.client, _exiting_interpreter and not restarting)
    with _lock:
        ended, _session = _session, None
        if ended is None:
            return
        refs.set_current(None)
        log_records.follow("")
        if here.running is not None:
            here.running.close()
            here.running = None
        atexit.unregister(shutdown)
        client = ended.client
        if os.getpid() != client.pid:
            return
        stays = restarting or not ended.owns_cluster
        _finish_job(client, known=stays and not restarting)
        client.stop(LeaveNode(returns=restarting) if stays else StopNode("its driver has shut it down"))
        if client.machine.lost:
            # Its node manager was killed, and could not clean up behind itself.
            sweep(str(Path(ended.info.session_dir).parent.parent))
        outputs.settle()
        if ended.daemon is not None:
            # Where an error has ended the I/O thread, the node manager has not been told.
            if not stays and ended.daemon.wait(5.0) is None and ended.daemon.signal(signal.SIGTERM):
                ended.daemon.wait(5.0)
            ended.daemon.close()


def _finish_job(client: Client, *, known: bool) -> None:
    """Say that the job has ended. ``known``: the GCS is to know of it before it hears from elsewhere that this process
    is gone, after which it listens to it no more: a short job would never have been there."""
    job = FinishJob(client.root.context.job)
    if not known or client.machine.lost:
        client.send(client.gcs, job)
        return
    with suppress(RayError):
        client.request(client.gcs, job, timeout_s=2.0)


def _forget_after_fork() -> None:
    """A forked child (multiprocessing) has no I/O thread: its copy of the connection is inert."""
    global _session
    _session = None


os.register_at_fork(after_in_child=_forget_after_fork)
