"""``raynb.util.state``: Ray's state API, read from the event hub and the GCS.

A listing's rows are mappings whose fields can also be read as attributes, as Ray's are: ``row["state"]`` or
``row.state``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from raynb.runtime.client.derived_tables import DERIVED
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.task_views import OBJECT_FIELDS, TASK_FIELDS
from raynb.runtime.core.views import ACTOR_FIELDS, WORKER_FIELDS, page
from raynb.util.state_client import ListApiOptions as ListApiOptions
from raynb.util.state_client import StateApiClient as StateApiClient
from raynb.util.state_client import StateResource as StateResource
from raynb.util.state_errors import BadQueryError as BadQueryError
from raynb.util.state_errors import RayStateApiException as RayStateApiException
from raynb.util.state_logs import get_log as get_log
from raynb.util.state_logs import list_logs as list_logs
from raynb.util.state_source import NOT_OUR_OWN, ask
from raynb.util.state_summaries import summarize_actors as summarize_actors
from raynb.util.state_summaries import summarize_objects as summarize_objects
from raynb.util.state_summaries import summarize_tasks as summarize_tasks

LIMIT_MAX = 10_000
"""The most rows that one listing may ask for (Ray's RAY_MAX_LIMIT_FROM_API_SERVER)."""

Filter = tuple[str, str, Any]


class StateRow(Mapping[str, Any]):
    """One row of a listing. Subclasses give it the name that Ray has for its kind, and its ``fields``: those that were
    not asked for are None."""

    __slots__ = ("_row",)
    fields: ClassVar[Sequence[str]] = ()

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = {**dict.fromkeys(self.fields), **row}

    def __getitem__(self, key: str) -> Any:
        return self._row[key]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._row[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._row.items())
        return f"{type(self).__name__}({fields})"

    def asdict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return dict(self._row)


class TaskState(StateRow):
    """A task; its states are Ray's."""

    fields = TASK_FIELDS


class ActorState(StateRow):
    """An actor."""

    fields = ACTOR_FIELDS


class ObjectState(StateRow):
    """An object, in its owner's table."""

    fields = OBJECT_FIELDS


class NodeState(StateRow):
    """A node."""


class WorkerState(StateRow):
    """A worker process or a driver."""

    fields = WORKER_FIELDS


class PlacementGroupState(StateRow):
    """A placement group."""


class ClusterEventState(StateRow):
    """Something that has happened to the cluster."""


class RuntimeEnvState(StateRow):
    """A ``runtime_env`` that is in use."""


class JobState(StateRow):
    """A driver's connection to the cluster."""


def _rows(
    address: str | None,
    table: str,
    kind: type[StateRow],
    filters: Sequence[Filter] | None,
    limit: int,
    timeout: float,
    detail: bool,
    id: str = "",
    whole: bool = False,
) -> list[Any]:
    if not isinstance(limit, int) or limit < 0:
        raise BadQueryError(f"limit must be 0 or more, not {limit!r}")
    if limit > LIMIT_MAX:
        raise BadQueryError(f"limit is at most {LIMIT_MAX}: narrow the listing with filters; got {limit}")
    chosen = [_text_filter(f) for f in filters or ()]
    if table == "actors":
        chosen.append(NOT_OUR_OWN)
    how: dict[str, Any] = {"filters": chosen, "limit": limit, "detail": detail}
    page = ask(address, table, timeout, id=id, whole=whole, **how)
    if kind in (NodeState, WorkerState) and detail:
        return [kind({**row, "end_time_ms": row["end_time_ms"] or 0}) for row in page["rows"]]  # as Ray has it
    return [kind(row) for row in page["rows"]]


def _text_filter(given: Any) -> tuple[str, str, str]:
    if not isinstance(given, list | tuple) or len(given) != 3:
        raise BadQueryError(f"a filter is (field, '=' or '!=', value), not {given!r}")
    field, operator, value = given
    return str(field).lower(), str(operator), str(value)


def list_tasks(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[TaskState]:
    """The newest tasks that pass all filters.

    Parameters
    ----------
    filters
        ``(field, "=" or "!=", value)``; an unknown field is an error that lists the known ones.
    detail
        All fields, not only the most used.
    """
    return _rows(address, "tasks", TaskState, filters, limit, timeout, detail)


def list_actors(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[ActorState]:
    """The actors that pass all filters, dead ones included."""
    return _rows(address, "actors", ActorState, filters, limit, timeout, detail)


def list_objects(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[ObjectState]:
    """The largest objects that pass all filters, asked of all living processes: a row for each that refers to one.

    Raises
    ------
    RayStateApiException
        Processes did not answer in time, and ``raise_on_missing_output`` is true.
    """
    return _rows(address, "references", ObjectState, filters, limit, timeout, detail, whole=raise_on_missing_output)


def list_nodes(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[NodeState]:
    """The nodes that pass all filters."""
    return _rows(address, "nodes", NodeState, filters, limit, timeout, detail)


def list_workers(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[WorkerState]:
    """The worker processes and drivers that pass all filters."""
    return _rows(address, "workers", WorkerState, filters, limit, timeout, detail)


def list_jobs(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[JobState]:
    """The jobs that pass all filters."""
    return _rows(address, "jobs", JobState, filters, limit, timeout, detail)


def list_placement_groups(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[PlacementGroupState]:
    """The placement groups that pass all filters, removed ones included."""
    return _rows(address, "placement_groups", PlacementGroupState, filters, limit, timeout, detail)


def _one(address: str | None, table: str, kind: type[StateRow], id: str, timeout: float) -> Any:
    rows = _rows(address, table, kind, None, LIMIT_MAX, timeout, True, id)
    return rows[-1] if rows else None


def get_task(id: Any, address: str | None = None, timeout: float = 30) -> TaskState | list[TaskState] | None:
    """A task, by its id in hex (or a reference to its result): a list of its attempts if there were several, None if it
    isn't known."""
    if not isinstance(id, str | ObjectRef):
        raise TypeError(f"get_task() takes a task's id in hex, or a reference to its result, not {id!r}")
    text = id if isinstance(id, str) else id.task_id().hex()
    rows: list[TaskState] = _rows(address, "tasks", TaskState, None, LIMIT_MAX, timeout, True, text)
    return rows if len(rows) > 1 else rows[0] if rows else None


def get_actor(id: str, address: str | None = None, timeout: float = 30) -> ActorState | None:
    """An actor by its id in hex; None if it isn't known."""
    row: ActorState | None = _one(address, "actors", ActorState, id, timeout)
    return row


def get_node(id: str, address: str | None = None, timeout: float = 30) -> NodeState | None:
    """A node by its id in hex; None if it isn't known."""
    row: NodeState | None = _one(address, "nodes", NodeState, id, timeout)
    return row


def get_worker(id: str, address: str | None = None, timeout: float = 30) -> WorkerState | None:
    """A worker by its id in hex; None if it isn't known."""
    row: WorkerState | None = _one(address, "workers", WorkerState, id, timeout)
    return row


def get_job(id: str, address: str | None = None, timeout: float = 30) -> JobState | None:
    """A job by its id in hex; None if it isn't known."""
    row: JobState | None = _one(address, "jobs", JobState, id, timeout)
    return row


def get_placement_group(id: str, address: str | None = None, timeout: float = 30) -> PlacementGroupState | None:
    """A placement group by its id in hex; None if it isn't known."""
    row: PlacementGroupState | None = _one(address, "placement_groups", PlacementGroupState, id, timeout)
    return row


def get_objects(id: str, address: str | None = None, timeout: float = 30) -> list[ObjectState]:
    """What is known of an object, by its id in hex: a row for each process that refers to it."""
    return _rows(address, "references", ObjectState, None, LIMIT_MAX, timeout, True, id)


def list_runtime_envs(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[RuntimeEnvState]:
    """The ``runtime_env`` of the actors that live, each with how many have it on which node."""
    rows = _derived(address, "runtime_envs", filters, limit, timeout)
    return [RuntimeEnvState(row) for row in rows]


def list_cluster_events(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30,
    detail: bool = False,
    raise_on_missing_output: bool = True,
) -> list[ClusterEventState]:
    """What has happened to nodes, drivers and workers, the oldest first; the newest, where there are more."""
    # Those that are left out are the oldest.
    found = _derived(address, "cluster_events", filters, -1, timeout)
    return [ClusterEventState(row) for row in found[-limit:]] if limit else []


def _derived(
    address: str | None, table: str, filters: Sequence[Filter] | None, limit: int, timeout: float
) -> list[dict[str, Any]]:
    make, fields = DERIVED[table]

    def rows(of: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(address, of, timeout, limit=LIMIT_MAX, detail=True)["rows"]
        return found

    try:
        return page(make(rows), fields, [_text_filter(given) for given in filters or ()], limit).rows
    except ValueError as error:
        raise BadQueryError(str(error)) from error
