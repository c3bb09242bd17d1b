"""``get_runtime_context``: where the calling code runs, and on whose behalf."""

from __future__ import annotations

import sys
from typing import Any

from raynb.runtime.api.actors import ActorHandle, handle_from_reply
from raynb.runtime.api.deprecation import deprecated
from raynb.runtime.api.runtime_env import RuntimeEnv
from raynb.runtime.api.session import connect
from raynb.runtime.api.where import captured_by, labels_of, shown
from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import Execution
from raynb.runtime.client.ids import ActorID, JobID, NodeID, PlacementGroupID, TaskID
from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.messages.gcs import NamedActor

OTHER_ACCELERATORS = ("FURIOSA", "HPU", "MBLT", "NPU", "RBLN", "TPU", "TTNPU", "neuron_cores")
"""Names of resources by which Ray knows accelerators that are no GPUs."""


class RuntimeContext:
    """What a task, an actor or a driver may ask about itself. Ids are in hexadecimal."""

    def __init__(self, worker: Client) -> None:
        self._client = worker

    @property
    def _execution(self) -> Execution:
        return self._client.execution()

    def __repr__(self) -> str:
        return f"<RuntimeContext {self._ids()}>"

    @deprecated("Use get_xxx_id() methods to get relevant ids instead")
    def get(self) -> dict[str, Any]:
        """The ids that there are, by name."""
        return self._ids()

    def _ids(self) -> dict[str, Any]:
        execution = self._execution
        node = NodeID(self._client.joined.node_id)
        known: dict[str, Any] = {"job_id": JobID(execution.context.job), "node_id": node, "namespace": self.namespace}
        if self._in_task:
            known["task_id"] = TaskID(execution.task_id)
        if execution.actor_id:
            known["actor_id"] = ActorID(execution.actor_id)
        return known

    def _check_worker(self) -> None:
        assert self._client.gives_way, "This method is only available when the process is a worker. Current mode: 0"

    @property
    def _in_task(self) -> bool:
        return any(self._execution.task_id)

    def get_job_id(self) -> str:
        return self._execution.context.job.hex()

    def get_node_id(self) -> str:
        return self._client.joined.node_id.hex()

    def get_worker_id(self) -> str:
        return self._client.worker_id.hex()

    def get_task_id(self) -> str | None:
        """None in the driver."""
        return self._execution.task_id.hex() if self._in_task else None

    def get_task_name(self) -> str | None:
        return self._execution.name if self._in_task else None

    def get_task_function_name(self) -> str | None:
        """With its module: ``package.module.function``, ``package.module.Class.method``."""
        execution = self._execution
        return f"{execution.module}.{execution.function}" if self._in_task else None

    def get_actor_id(self) -> str | None:
        """None outside of actors."""
        return self._execution.actor_id.hex() or None

    def get_actor_name(self) -> str | None:
        """The actor's own name, an empty string for one without; None outside of actors."""
        return self._client.actor_name if self._execution.actor_id else None

    def get_assigned_resources(self) -> dict[str, float]:
        """What the running task or actor holds.

        Raises
        ------
        AssertionError
            In a driver.
        """
        self._check_worker()
        return shown(self._execution.resources)

    @deprecated("Use get_accelerator_ids() instead")
    def get_resource_ids(self) -> dict[str, list[str]]:
        """As `get_accelerator_ids`, Ray's older name."""
        return self.get_accelerator_ids()

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """The GPUs that the running task or actor holds, by the names that ``CUDA_VISIBLE_DEVICES`` has for them; none
        of the other kinds that Ray tells apart, since raynb assigns no particular ones of those."""
        return {**{kind: [] for kind in OTHER_ACCELERATORS}, "GPU": list(self._execution.gpus)}

    def get_session_name(self) -> str:
        return self._client.joined.session

    def get_node_labels(self) -> dict[str, str]:
        return labels_of(self._client)

    def get_placement_group_id(self) -> str | None:
        """Of the placement group in which the running task or actor is; None outside of one."""
        group = group_of(self._execution.resources)
        return group.hex() if group is not None else None

    def get_runtime_env_string(self) -> str:
        """The calling process's ``runtime_env`` as JSON."""
        return self._client.runtime_env or "{}"

    @property
    def runtime_env(self) -> RuntimeEnv:
        """What the calling process runs in: its job's ``runtime_env``, with its task's or actor's over it."""
        return RuntimeEnv.deserialize(self.get_runtime_env_string())

    def get_temp_dir(self) -> str:
        return self._client.session_dir

    def is_canceled(self) -> bool:
        """Whether the running task has been cancelled (for code that can't be interrupted).

        Raises
        ------
        RuntimeError
            In a driver, or in an async actor, whose calls are interrupted by asyncio.
        """
        if not self._client.gives_way:
            raise RuntimeError("This method is only available when the process is a worker.")
        loops: Any = sys.modules.get("asyncio")  # where it is not loaded, no loop runs
        if self._execution.actor_id and loops is not None and loops._get_running_loop() is not None:
            raise RuntimeError(
                "This method is not supported in an async actor: there, a cancelled call is interrupted."
            )
        return self._execution.cancelled

    @property
    def namespace(self) -> str:
        return self._execution.context.namespace

    @property
    def gcs_address(self) -> str:
        return self._client.gcs

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether this actor was restarted; False for a task.

        Raises
        ------
        AssertionError
            In a driver.
        """
        self._check_worker()
        return bool(self._execution.actor_id) and self._client.actor_restarts > 0

    @property
    def current_actor(self) -> ActorHandle:
        """A handle to the actor that runs this code.

        Raises
        ------
        RuntimeError
            Not inside an actor.
        """
        if not self._execution.actor_id:
            raise RuntimeError("This method is only available in an actor.")
        data = self._client.request(self._client.gcs, NamedActor(0, "", "", actor_id=self._execution.actor_id))
        return handle_from_reply(data)

    @property
    @deprecated("Use get_placement_group_id() instead")
    def current_placement_group_id(self) -> PlacementGroupID:
        """Nil outside of placement groups."""
        group = group_of(self._execution.resources)
        return PlacementGroupID(group) if group is not None else PlacementGroupID.nil()

    @property
    def should_capture_child_tasks_in_placement_group(self) -> bool:
        """Whether tasks and actors that are started from here run in the same placement group."""
        return captured_by(self._execution) is not None

    # Ray's older spellings, as properties: ids as objects.

    @property
    @deprecated("Use get_job_id() instead")
    def job_id(self) -> JobID:
        return JobID(self._execution.context.job)

    @property
    @deprecated("Use get_node_id() instead")
    def node_id(self) -> NodeID:
        return NodeID(self._client.joined.node_id)

    @property
    @deprecated("Use get_task_id() instead")
    def task_id(self) -> TaskID:
        self._check_worker()
        return TaskID(self._execution.task_id)

    @property
    @deprecated("Use get_actor_id() instead")
    def actor_id(self) -> ActorID | None:
        """None outside of actors."""
        self._check_worker()
        return ActorID(self._execution.actor_id) if self._execution.actor_id else None


def get_runtime_context() -> RuntimeContext:
    """The context of the calling code."""
    return RuntimeContext(connect())


def get_gpu_ids() -> list[int] | list[str]:
    """The GPUs that the calling task or actor holds; none in a driver.

    Returns
    -------
    list
        Their numbers; their names, where ``CUDA_VISIBLE_DEVICES`` of the node has names.
    """
    names = get_runtime_context().get_accelerator_ids()["GPU"]
    return [int(name) for name in names] if all(map(str.isdigit, names)) else names
