"""Numbers and names, under the names of ``ray._private.ray_constants``: raynb's own values."""

from __future__ import annotations

from typing import Final

from raynb.runtime.codec.functions import BYTES_MAX
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.ids import OBJECT_ID_BYTES

ID_SIZE: Final = OBJECT_ID_BYTES
DEFAULT_TASK_MAX_RETRIES: Final = 3
DEFAULT_TASK_NUM_RETURNS: Final = 1
DEFAULT_ACTOR_CREATION_CPU_SIMPLE: Final = 1
DEFAULT_ACTOR_METHOD_CPU_SIMPLE: Final = 0
DEFAULT_MAX_CONCURRENCY_ASYNC: Final = 1000
OBJECT_STORE_MINIMUM_MEMORY_BYTES: Final = 1024 * 1024
DEFAULT_OBJECT_STORE_MEMORY_PROPORTION: Final = Config().store_fraction
FUNCTION_SIZE_ERROR_THRESHOLD: Final = BYTES_MAX
HEAD_NODE_RESOURCE_NAME: Final = "node:__internal_head__"
NODE_ID_PREFIX: Final = "node:"
RAY_ADDRESS_ENVIRONMENT_VARIABLE: Final = "RAY_ADDRESS"
RAY_NAMESPACE_ENVIRONMENT_VARIABLE: Final = "RAY_NAMESPACE"
RAY_RUNTIME_ENV_ENVIRONMENT_VARIABLE: Final = "RAY_RUNTIME_ENV"
