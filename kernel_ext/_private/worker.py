"""This process's connection, under the names of ``ray._private.worker``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from raynb import cloudpickle as pickle
from raynb._private import ray_constants
from raynb._private.gcs_client import GcsClient
from raynb._private.out_of_scope import calls_of
from raynb._private.processes import ProcessInfo, daemons_of, kill_all
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.api import outputs
from raynb.runtime.api.cluster import get_actor, query
from raynb.runtime.api.context import get_gpu_ids, get_runtime_context
from raynb.runtime.api.deprecation import deprecated
from raynb.runtime.api.generator import ObjectRefGenerator
from raynb.runtime.api.init_arguments import NOT_STARTED
from raynb.runtime.api.modes import LOCAL_MODE, SCRIPT_MODE, WORKER_MODE
from raynb.runtime.api.objects import cancel, get, kill, put, wait
from raynb.runtime.api.remote import remote
from raynb.runtime.api.session import ClusterContext, connect, init, is_initialized, session, shutdown
from raynb.runtime.api.waiting import wait_for_batches
from raynb.runtime.client import refs
from raynb.runtime.client.client import Client
from raynb.runtime.client.ids import ActorID, JobID, NodeID, PlacementGroupID, TaskID
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.messages.errors import ObjectLostError, RaySystemError, error_class
from raynb.runtime.messages.objects import is_spilled
from raynb.runtime.messages.values import Failed, Stored
from raynb.util.node_address import get_node_ip_address

__all__ = [
    "LOCAL_MODE",
    "SCRIPT_MODE",
    "WORKER_MODE",
    "RayContext",
    "cancel",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_resource_ids",
    "global_worker",
    "init",
    "is_initialized",
    "kill",
    "pickle",
    "put",
    "remote",
    "shutdown",
    "wait",
]

RayContext = ClusterContext
EXISTS_S_MAX: Final = 1.0
"""How long an owner elsewhere may take to say whether it has an object."""


class CoreWorker:
    """What tests ask about references and ids."""

    def __repr__(self) -> str:
        return f"<CoreWorker of pid {os.getpid()}>"

    @property
    def _client(self) -> Client:
        return refs.current()

    def get_all_reference_counts(self) -> dict[bytes, dict[str, int]]:
        """By object in hex (as bytes): ``local`` references, and how often unfinished tasks use it (``submitted``)."""
        counts: dict[bytes, dict[str, int]] = {}

        def count() -> None:
            self._client.host.read_inbox(0.0)
            for oid, entry in self._client.machine.objects.entries.items():
                if entry.is_actor:
                    continue  # it stands for the actor, not for a value
                counts[oid.hex().encode()] = {"local": entry.local, "submitted": entry.pins}

        self._client.host.run(count, 10.0)
        return {oid: held for oid, held in counts.items() if held["local"] or held["submitted"]}

    def get_memory_store_size(self) -> int:
        """How many values this process keeps itself: small results and `put` values of its own; and what it knows of
        large ones."""
        size = 0

        def count() -> None:
            nonlocal size
            self._client.host.read_inbox(0.0)
            entries = self._client.machine.objects.entries.values()
            size = sum(entry.value is not None and not entry.is_actor for entry in entries)

        self._client.host.run(count, 10.0)
        return size

    def object_exists(self, object_ref: ObjectRef[Any], memory_store_only: bool = False) -> bool:
        """Whether its value is in the memory of this node, or what it failed of; with ``memory_store_only``, in that of
        this process. Its owner is asked, where that is another process."""
        client = self._client
        own = object_ref._owner in ("", client.address)
        ready, _ = client.wait([object_ref], 1, 0.0 if own else EXISTS_S_MAX, fetch_local=False)
        entry = client.machine.objects.entries.get(object_ref._id)
        value = None if entry is None else entry.value
        if isinstance(value, Stored):
            here = not client.fetching.is_far(value) or client.fetching.place(value) is not None
            return bool(ready) and here and not (memory_store_only or is_spilled(value.segment))
        lost = isinstance(value, Failed) and issubclass(error_class(value.kind), ObjectLostError)
        return bool(ready) and value is not None and not lost

    def add_object_out_of_scope_callback(self, object_ref: ObjectRef[Any], callback: Callable[[bytes], object]) -> bool:
        """Have this function called, with the object's id, when this process refers to it no more, or has freed it.
        False where that is so already: then it isn't."""
        client = self._client
        return calls_of(client).add(client, object_ref._id, callback)

    def get_current_task_id(self) -> TaskID:
        return TaskID(self._client.execution().task_id)

    def get_current_job_id(self) -> JobID:
        return JobID(self._client.execution().context.job)

    def get_current_node_id(self) -> NodeID:
        return NodeID(self._client.joined.node_id)

    def get_actor_id(self) -> ActorID:
        """Nil outside of actors."""
        return ActorID(self._client.execution().actor_id) if self._client.execution().actor_id else ActorID.nil()

    def get_placement_group_id(self) -> PlacementGroupID:
        """Nil outside of placement groups."""
        group = get_runtime_context().get_placement_group_id()
        return PlacementGroupID.nil() if group is None else PlacementGroupID.from_hex(group)

    def get_worker_id(self) -> bytes:
        return self._client.worker_id

    def resource_ids(self) -> dict[str, list[tuple[int, float]]]:
        """What the running task or actor holds, as pairs of a number and an amount; nothing in a driver."""
        execution = self._client.execution()
        held = execution.resources if self._client.gives_way else {}
        gpus = [int(name) for name in execution.gpus if name.isdigit()]
        return {
            name: [(gpu, min(amount, 1.0)) for gpu in gpus]
            if name.partition("_group_")[0] == "GPU" and gpus
            else [(0, amount)]
            for name, amount in held.items()
        }


class Worker:
    """This process, connected or not."""

    core_worker = CoreWorker()

    def __repr__(self) -> str:
        return f"<Worker pid={os.getpid()} connected={self.connected}>"

    @property
    def connected(self) -> bool:
        return is_initialized()

    @property
    def mode(self) -> int | None:
        """``SCRIPT_MODE`` for a driver, ``WORKER_MODE`` for a worker; None without a connection."""
        if not self.connected:
            return None
        return WORKER_MODE if refs.current().gives_way else SCRIPT_MODE

    @property
    def worker_id(self) -> bytes:
        return refs.current().worker_id

    @property
    def current_job_id(self) -> JobID:
        """Nil without a connection."""
        return self.core_worker.get_current_job_id() if self.connected else JobID.nil()

    @property
    def current_task_id(self) -> TaskID:
        return self.core_worker.get_current_task_id()

    @property
    def current_node_id(self) -> NodeID:
        return self.core_worker.get_current_node_id()

    @property
    def actor_id(self) -> ActorID:
        return self.core_worker.get_actor_id()

    @property
    def placement_group_id(self) -> PlacementGroupID:
        return self.core_worker.get_placement_group_id()

    @property
    def namespace(self) -> str:
        return get_runtime_context().namespace

    @property
    def runtime_env(self) -> str:
        return get_runtime_context().get_runtime_env_string()

    @property
    def node_ip_address(self) -> str:
        return get_node_ip_address()

    @property
    def node(self) -> Node:
        return Node()

    @property
    def gcs_client(self) -> GcsClient:
        return GcsClient()

    def check_connected(self) -> None:
        """Raise without a connection."""
        if not refs.connected():
            raise RaySystemError(NOT_STARTED)


class Node:
    """The node of the cluster that this process has started or joined."""

    def __repr__(self) -> str:
        return f"<Node {self.node_ip_address}>"

    @property
    def address_info(self) -> dict[str, Any]:
        return ClusterContext(session().info, refs.current().joined.node_id).address_info

    @property
    def address(self) -> str:
        return session().info.node_manager

    @property
    def plasma_store_socket_name(self) -> str:
        """The node manager's address: it looks after the store."""
        return refs.current().node_manager

    raylet_socket_name = plasma_store_socket_name

    @property
    def gcs_address(self) -> str:
        return session().info.gcs

    @property
    def node_ip_address(self) -> str:
        return session().info.node_ip

    @property
    def unique_id(self) -> str:
        return refs.current().joined.node_id.hex()

    node_id = unique_id

    @property
    def session_name(self) -> str:
        return session().info.session

    @property
    def all_processes(self) -> dict[str, list[ProcessInfo]]:
        """Its daemons, by kind."""
        return daemons_of(session().info.pid)

    @property
    def session_dir(self) -> str:
        return session().info.session_dir

    def kill_raylet(self, check_alive: bool = True) -> None:
        """Kill its node manager, with which all else of it ends. ``check_alive`` is without effect."""
        kill_all(self.all_processes[ray_constants.PROCESS_TYPE_RAYLET])

    def kill_gcs_server(self, check_alive: bool = True) -> None:
        """Kill its GCS; the node manager starts another one. ``check_alive`` is without effect."""
        kill_all(self.all_processes[ray_constants.PROCESS_TYPE_GCS_SERVER])

    def start_gcs_server(self) -> None:
        """Return when the GCS answers that the node manager has started in the place of a killed one."""
        query("nodes")

    def get_session_dir_path(self) -> str:
        """Where its logs and sockets are."""
        return session().info.session_dir

    def get_logs_dir_path(self) -> str:
        """Where its logs are."""
        return os.path.join(session().info.session_dir, "logs")

    def is_head(self) -> bool:
        """Whether the GCS runs there: a driver joins the head node."""
        return True


global_worker = Worker()


@deprecated("Use ray.get_runtime_context().get_assigned_resources() instead.")
def get_resource_ids() -> dict[str, list[tuple[int, float]]]:
    """As `CoreWorker.resource_ids`."""
    global_worker.check_connected()
    return global_worker.core_worker.resource_ids()


def _unhandled_error_handler(error: Exception) -> None:
    """Told of the errors that nobody has asked for; tests put their own here."""
    outputs.say_unhandled(error)


# By its name, which may mean another function by then.
outputs.on_unhandled = lambda error: _unhandled_error_handler(error)


def __getattr__(name: str) -> Any:
    if name == "_global_node":
        return Node() if is_initialized() else None
    return _absent(name)


_absent = absent_names(
    "_private.worker",
    dict.fromkeys(
        (
            "BaseContext", "RESTORE_WORKER_MODE", "RemoteDecorator", "SPILL_WORKER_MODE", "connect", "disconnect",
            "filter_autoscaler_events", "get_dashboard_url", "listen_error_messages", "print_to_stdstream",
            "print_worker_logs", "process_tqdm", "time_string",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip


def _wait_generators_bulk(
    ray_generators: list[tuple[ObjectRefGenerator, list[bool]]], *, num_return: int = 1, timeout: float | None = None
) -> list[tuple[ObjectRefGenerator, list[ObjectRef[Any]]]]:
    """As `wait_for_batches`."""
    return wait_for_batches(connect(), ray_generators, num_return, timeout)
