"""Numbers and names, under the names of ``ray._private.ray_constants``: raynb's own values."""

from __future__ import annotations

from typing import Final

from raynb._common import constants, utils
from raynb._common import ray_constants as common
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.adapters.overrides import RESOURCES
from raynb.runtime.api.labels import RESERVED
from raynb.runtime.api.options import SMALLEST
from raynb.runtime.api.terminal import NEVER_FOLDED
from raynb.runtime.codec.captures import LARGE_BYTES
from raynb.runtime.codec.functions import BYTES_MAX
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.ids import OBJECT_ID_BYTES

ID_SIZE: Final = OBJECT_ID_BYTES
HEAD_NODE_RESOURCE_NAME: Final = constants.HEAD_NODE_RESOURCE_NAME
NODE_ID_PREFIX: Final = constants.NODE_ID_PREFIX
DEFAULT_MAX_CONCURRENCY_ASYNC: Final = common.DEFAULT_MAX_CONCURRENCY_ASYNC
DEFAULT_TASK_MAX_RETRIES: Final = 3
DEFAULT_TASK_NUM_RETURNS: Final = 1
DEFAULT_ACTOR_CREATION_CPU_SIMPLE: Final = 1
DEFAULT_ACTOR_METHOD_CPU_SIMPLE: Final = 0
DEFAULT_ACTOR_CREATION_CPU_SPECIFIED: Final = 1
DEFAULT_ACTOR_METHOD_CPU_SPECIFIED: Final = 0
DEFAULT_MAX_CONCURRENCY_THREADED: Final = 1
MIN_RESOURCE_GRANULARITY: Final = SMALLEST
MAX_INT64_VALUE: Final = 2**63 - 1
OBJECT_STORE_MINIMUM_MEMORY_BYTES: Final = 1024 * 1024
DEFAULT_OBJECT_STORE_MEMORY_PROPORTION: Final = Config().store_fraction
FUNCTION_SIZE_ERROR_THRESHOLD: Final = BYTES_MAX
FUNCTION_SIZE_WARN_THRESHOLD: Final = LARGE_BYTES
RAY_ADDRESS_ENVIRONMENT_VARIABLE: Final = "RAY_ADDRESS"
RAY_NAMESPACE_ENVIRONMENT_VARIABLE: Final = "RAY_NAMESPACE"
RAY_RUNTIME_ENV_ENVIRONMENT_VARIABLE: Final = "RAY_RUNTIME_ENV"
RAY_RUNTIME_ENV_HOOK: Final = "RAY_RUNTIME_ENV_HOOK"
RESOURCES_ENVIRONMENT_VARIABLE: Final = RESOURCES
RAY_DEFAULT_LABEL_KEYS_PREFIX: Final = RESERVED
IS_WINDOWS_OR_OSX: Final = False
ENABLE_RAY_CLUSTER: Final = True
RAY_ENABLE_RECORD_ACTOR_TASK_LOGGING: Final = utils.env_bool("RAY_ENABLE_RECORD_ACTOR_TASK_LOGGING", False)
"""What tests of where the calls of actors print go by; raynb records that always."""
DEFAULT_RESOURCES: Final = {"CPU", "GPU", "memory", "object_store_memory"}
GPU: Final = "GPU"

TESTING_NEVER_DEDUP_TOKEN: Final = NEVER_FOLDED

# What kind of error is published (`GcsErrorSubscriber`); raynb itself publishes worker_died,
# node_removed and pickling_large_object.
DASHBOARD_AGENT_DIED_ERROR: Final = "dashboard_agent_died"
DASHBOARD_DIED_ERROR: Final = "dashboard_died"
DETACHED_ACTOR_ANONYMOUS_NAMESPACE_ERROR: Final = "detached_actor_anonymous_namespace"
EXCESS_QUEUEING_WARNING: Final = "excess_queueing_warning"
LOG_MONITOR_DIED_ERROR: Final = "log_monitor_died"
MONITOR_DIED_ERROR: Final = "monitor_died"
PICKLING_LARGE_OBJECT_PUSH_ERROR: Final = "pickling_large_object"
PUT_RECONSTRUCTION_PUSH_ERROR: Final = "put_reconstruction"
RAYLET_DIED_ERROR: Final = "raylet_died"
REMOVED_NODE_ERROR: Final = "node_removed"
RESOURCE_DEADLOCK_ERROR: Final = "resource_deadlock"
TASK_PUSH_ERROR: Final = "task"
VERSION_MISMATCH_PUSH_ERROR: Final = "version_mismatch"
WAIT_FOR_FUNCTION_PUSH_ERROR: Final = "wait_for_function"
WORKER_CRASH_PUSH_ERROR: Final = "worker_crash"
WORKER_DIED_PUSH_ERROR: Final = "worker_died"
WORKER_POOL_LARGE_ERROR: Final = "worker_pool_large"

# Kinds of processes; those of which a cluster has none are never among a node's.
PROCESS_TYPE_DASHBOARD: Final = "dashboard"
PROCESS_TYPE_DASHBOARD_AGENT: Final = "dashboard_agent"
PROCESS_TYPE_GCS_SERVER: Final = "gcs_server"
PROCESS_TYPE_LOG_MONITOR: Final = "log_monitor"
PROCESS_TYPE_MONITOR: Final = "monitor"
PROCESS_TYPE_PYTHON_CORE_WORKER: Final = "python-core-worker"
PROCESS_TYPE_PYTHON_CORE_WORKER_DRIVER: Final = "python-core-driver"
PROCESS_TYPE_RAYLET: Final = "raylet"
PROCESS_TYPE_RAY_CLIENT_SERVER: Final = "ray_client_server"
PROCESS_TYPE_REAPER: Final = "reaper"
PROCESS_TYPE_REDIS_SERVER: Final = "redis_server"
PROCESS_TYPE_RUNTIME_ENV_AGENT: Final = "runtime_env_agent"
PROCESS_TYPE_WORKER: Final = "worker"

# Keys and namespaces of keys; raynb itself keeps nothing there.
DEBUG_AUTOSCALING_ERROR: Final = "__autoscaling_error"
DEBUG_AUTOSCALING_STATUS: Final = "__autoscaling_status"
KV_NAMESPACE_CLUSTER: Final = b"cluster"
KV_NAMESPACE_DASHBOARD: Final = b"dashboard"
KV_NAMESPACE_FUNCTION_TABLE: Final = b"fun"
KV_NAMESPACE_HEALTHCHECK: Final = b"healthcheck"
KV_NAMESPACE_JOB: Final = b"job"
KV_NAMESPACE_PACKAGE: Final = None
KV_NAMESPACE_PDB: Final = b"ray_pdb"
KV_NAMESPACE_SESSION: Final = b"session"
KV_NAMESPACE_TRACING: Final = b"tracing"

__getattr__ = absent_names(
    "_private.ray_constants",
    dict.fromkeys(
        (
            "DEFAULT_DASHBOARD_AGENT_LISTEN_PORT", "DEFAULT_DASHBOARD_PORT", "DEFAULT_OBJECT_PREFIX", "DEFAULT_PORT",
            "DEFAULT_RUNTIME_ENV_DIR_NAME", "DEFAULT_RUNTIME_ENV_TIMEOUT_SECONDS",
            "GLOBAL_GRPC_OPTIONS", "LOGGING_ROTATE_BACKUP_COUNT", "LOGGING_ROTATE_BYTES", "LOG_MONITOR_MAX_OPEN_FILES",
            "LOG_PREFIX_ACTOR_NAME", "LOG_PREFIX_EVENT_SUMMARY", "LOG_PREFIX_JOB_ID", "LOG_PREFIX_TASK_NAME",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_OVERRIDE_DASHBOARD_URL", "RAY_RUNTIME_ENV_CREATE_WORKING_DIR_ENV_VAR",
            "RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_DEFAULT",
            "RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR", "REDIS_DEFAULT_PASSWORD", "SESSION_LATEST",
            "WORKER_PROCESS_SETUP_HOOK_ENV_VAR",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
