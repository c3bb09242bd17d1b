"""``raynb.util.state``'s part for those who name a table instead of a function, as Ray's tests do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from raynb.util.state_errors import BadQueryError


class StateResource(Enum):
    """The tables."""

    ACTORS = "actors"
    JOBS = "jobs"
    PLACEMENT_GROUPS = "placement_groups"
    NODES = "nodes"
    WORKERS = "workers"
    TASKS = "tasks"
    OBJECTS = "objects"
    RUNTIME_ENVS = "runtime_envs"
    CLUSTER_EVENTS = "cluster_events"


@dataclass
class ListApiOptions:
    """How a table is listed: as the arguments of `list_tasks`. Drivers are no tasks here (``exclude_driver``)."""

    limit: int = 100
    timeout: float = 30
    detail: bool = False
    filters: Sequence[tuple[str, str, Any]] = field(default_factory=list)
    exclude_driver: bool = True


class StateApiClient:
    """Lists any table.

    Parameters
    ----------
    address
        As in `list_tasks`.
    """

    def __init__(self, address: str | None = None, cookies: object = None, headers: object = None) -> None:
        self._address = address

    def __repr__(self) -> str:
        return f"<StateApiClient {self._address or ''}>"

    def list(
        self,
        resource: StateResource,
        options: ListApiOptions,
        raise_on_missing_output: bool = True,
        _explain: bool = False,
    ) -> Sequence[Any]:
        """The rows of a table that pass the filters.

        Raises
        ------
        RayStateApiException
            See `list_tasks`.
        """
        from raynb.util import state  # it shows this class

        if not isinstance(resource, StateResource):
            raise BadQueryError(
                f"there is no table {resource!r}; there are: {', '.join(e.value for e in StateResource)}"
            )
        listing: Callable[..., Sequence[Any]] = getattr(state, f"list_{resource.value}")
        return listing(
            self._address,
            filters=options.filters,
            limit=options.limit,
            timeout=options.timeout,
            detail=options.detail,
            raise_on_missing_output=raise_on_missing_output,
        )
