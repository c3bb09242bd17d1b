"""Names of resources, under the names of ``ray._common.constants``."""

from __future__ import annotations

from typing import Final

HEAD_NODE_RESOURCE_NAME: Final = "node:__internal_head__"
NODE_ID_PREFIX: Final = "node:"
