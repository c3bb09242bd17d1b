"""raynb: Ray's programming model, native in the notebook."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raynb import differences
from raynb._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from jupyter_server.serverapp import ServerApp

    from raynb import (
        actor,
        cloudpickle,
        cluster_utils,
        exceptions,
        experimental,
        remote_function,
        runtime_context,
        runtime_env,
        util,
        widgets,
    )
    from raynb.as_ray import install_as_ray
    from raynb.runtime.api.actors import ActorClass, ActorHandle
    from raynb.runtime.api.cluster import (
        available_resources,
        cluster_resources,
        get_actor,
        nodes,
        object_store_usage,
        timeline,
    )
    from raynb.runtime.api.context import get_gpu_ids, get_runtime_context
    from raynb.runtime.api.generator import ObjectRefGenerator
    from raynb.runtime.api.methods import method
    from raynb.runtime.api.modes import LOCAL_MODE, SCRIPT_MODE, WORKER_MODE
    from raynb.runtime.api.named_objects import delete_object, get_object
    from raynb.runtime.api.objects import cancel, get, kill, put, wait
    from raynb.runtime.api.remote import remote
    from raynb.runtime.api.session import init, is_initialized, shutdown
    from raynb.runtime.client.dynamic import DynamicObjectRefGenerator
    from raynb.runtime.client.ids import (
        ActorClassID,
        ActorID,
        ClusterID,
        FunctionID,
        JobID,
        NodeID,
        PlacementGroupID,
        TaskID,
        UniqueID,
        WorkerID,
    )
    from raynb.runtime.client.log_records import LoggingConfig
    from raynb.runtime.client.refs import ObjectID, ObjectRef

#: Where each public name is; imported when it is first used, so that a daemon or a server pays nothing.
_HOMES = {
    "WorkerID": "raynb.runtime.client.ids",
    "UniqueID": "raynb.runtime.client.ids",
    "TaskID": "raynb.runtime.client.ids",
    "PlacementGroupID": "raynb.runtime.client.ids",
    "NodeID": "raynb.runtime.client.ids",
    "JobID": "raynb.runtime.client.ids",
    "ClusterID": "raynb.runtime.client.ids",
    "FunctionID": "raynb.runtime.client.ids",
    "ActorID": "raynb.runtime.client.ids",
    "ActorClassID": "raynb.runtime.client.ids",
    "ActorClass": "raynb.runtime.api.actors",
    "ActorHandle": "raynb.runtime.api.actors",
    "DynamicObjectRefGenerator": "raynb.runtime.client.dynamic",
    "ObjectID": "raynb.runtime.client.refs",
    "ObjectRef": "raynb.runtime.client.refs",
    "LOCAL_MODE": "raynb.runtime.api.modes",
    "LoggingConfig": "raynb.runtime.client.log_records",
    "SCRIPT_MODE": "raynb.runtime.api.modes",
    "WORKER_MODE": "raynb.runtime.api.modes",
    "ObjectRefGenerator": "raynb.runtime.api.generator",
    "available_resources": "raynb.runtime.api.cluster",
    "cancel": "raynb.runtime.api.objects",
    "cluster_resources": "raynb.runtime.api.cluster",
    "delete_object": "raynb.runtime.api.named_objects",
    "get": "raynb.runtime.api.objects",
    "get_actor": "raynb.runtime.api.cluster",
    "get_gpu_ids": "raynb.runtime.api.context",
    "get_object": "raynb.runtime.api.named_objects",
    "get_runtime_context": "raynb.runtime.api.context",
    "init": "raynb.runtime.api.session",
    "install_as_ray": "raynb.as_ray",
    "is_initialized": "raynb.runtime.api.session",
    "kill": "raynb.runtime.api.objects",
    "method": "raynb.runtime.api.methods",
    "nodes": "raynb.runtime.api.cluster",
    "object_store_usage": "raynb.runtime.api.cluster",
    "put": "raynb.runtime.api.objects",
    "remote": "raynb.runtime.api.remote",
    "shutdown": "raynb.runtime.api.session",
    "timeline": "raynb.runtime.api.cluster",
    "wait": "raynb.runtime.api.objects",
}

_MODULES = {
    "_common": "raynb._common",
    "_private": "raynb._private",
    "_raylet": "raynb._raylet",
    "actor": "raynb.actor",
    "cloudpickle": "raynb.cloudpickle",
    "experimental": "raynb.experimental",
    "cluster_utils": "raynb.cluster_utils",
    "exceptions": "raynb.exceptions",
    "internal": "raynb.internal",
    "job_config": "raynb.job_config",
    "ray_constants": "raynb._private.ray_constants",
    "remote_function": "raynb.remote_function",
    "runtime_context": "raynb.runtime_context",
    "runtime_env": "raynb.runtime_env",
    "state": "raynb._private.state",
    "types": "raynb.types",
    "util": "raynb.util",
    "widgets": "raynb.widgets",
    "worker": "raynb._private.worker",
}

__all__ = [
    "LOCAL_MODE",
    "SCRIPT_MODE",
    "WORKER_MODE",
    "ActorClass",
    "ActorClassID",
    "ActorHandle",
    "ActorID",
    "ClusterID",
    "DynamicObjectRefGenerator",
    "FunctionID",
    "JobID",
    "LoggingConfig",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
    "__version__",
    "actor",
    "available_resources",
    "cancel",
    "cloudpickle",
    "cluster_resources",
    "cluster_utils",
    "delete_object",
    "exceptions",
    "experimental",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_object",
    "get_runtime_context",
    "init",
    "install_as_ray",
    "is_initialized",
    "kill",
    "method",
    "nodes",
    "object_store_usage",
    "put",
    "remote",
    "remote_function",
    "runtime_context",
    "runtime_env",
    "shutdown",
    "timeline",
    "util",
    "wait",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    else:
        raise AttributeError(differences.refusal(name) or f"module 'raynb' has no attribute {name!r}")
    globals()[name] = value
    return value


differences.install()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """``%load_ext raynb``: magics, output of tasks in their cells. Starts no process."""
    from raynb.notebook import load

    load(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """``%unload_ext raynb``."""
    from raynb.notebook import unload

    unload(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "raynb"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "raynb"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    # Imported here: a kernel or a daemon that imports raynb has no use for a web server.
    from raynb.server_extension import load

    load(server)
