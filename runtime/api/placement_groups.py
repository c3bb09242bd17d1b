"""Placement groups: resources of one or more nodes, held together for tasks and actors that belong together."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from math import inf
from numbers import Real
from typing import Any, Final

from raynb.runtime.api import objects
from raynb.runtime.api.cluster import query
from raynb.runtime.api.functions import RemoteFunction
from raynb.runtime.api.labels import selector_problem
from raynb.runtime.api.options import SMALLEST, warn_of_store_memory
from raynb.runtime.api.session import connect
from raynb.runtime.api.strategies import PlacementGroupSchedulingStrategy
from raynb.runtime.api.where import label_rules
from raynb.runtime.client.execution import EXECUTION
from raynb.runtime.client.ids import PlacementGroupID
from raynb.runtime.client.refs import ObjectRef
from raynb.runtime.core.bundle_names import BUNDLE, group_of
from raynb.runtime.core.placement import STORE_MEMORY
from raynb.runtime.core.strategies import NODE_ID_LABEL
from raynb.runtime.messages.placement import CreateGroup, RemoveGroup
from raynb.runtime.messages.strategy import LabelRule

EXAMPLE: Final = (
    'Bundles must be a non-empty list of resource dictionaries. For example: `[{"CPU": 1.0}, {"GPU": 1.0}]`.'
)
LATENCIES: Final = ("end_to_end_creation_latency", "scheduling_latency")
STRATEGIES: Final = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


class PlacementGroup:
    """A handle to a placement group. It may be passed to tasks and actors.

    Parameters
    ----------
    id
        Of the group.
    bundle_cache
        Its bundles, if they are known; else they are asked for.
    """

    def __init__(self, id: PlacementGroupID, bundle_cache: list[dict[str, float]] | None = None) -> None:
        self.id = id
        self.bundle_cache = bundle_cache

    def __repr__(self) -> str:
        return f"PlacementGroup({self.id.hex()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlacementGroup) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @staticmethod
    def empty() -> PlacementGroup:
        """One that stands for none."""
        return PlacementGroup(PlacementGroupID.nil())

    @property
    def is_empty(self) -> bool:
        return self.id.is_nil()

    @property
    def bundle_specs(self) -> list[dict[str, float]]:
        """The bundles, in order: amounts by name of the resource."""
        if self.bundle_cache is None:
            row = _row(self.id.hex())
            self.bundle_cache = [bundle["unit_resources"] for bundle in row["bundles"]] if row is not None else []
        return self.bundle_cache

    @property
    def bundle_count(self) -> int:
        return len(self.bundle_specs)

    def ready(self) -> ObjectRef[Any]:
        """A reference that settles, to this group, when it is placed."""
        strategy = PlacementGroupSchedulingStrategy(self)
        task = RemoteFunction(_itself, {"num_cpus": 0, "max_retries": 3, "scheduling_strategy": strategy})
        ref: ObjectRef[Any] = task.options(name="placement group ready").remote(self)
        return ref

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Stand still until it is placed. False if it is not within so many seconds.

        Raises
        ------
        TaskPlacementGroupRemoved
            It was removed.
        """
        ready = self.ready()
        if not objects.wait([ready], timeout=max(timeout_seconds, 0))[0]:
            return False
        objects.get(ready)
        return True


def _itself(group: PlacementGroup) -> PlacementGroup:
    return group


def placement_group(
    bundles: Sequence[Mapping[str, float]],
    strategy: str | None = None,
    name: str = "",
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: Sequence[Mapping[str, str]] | None = None,
    topology_strategy: Mapping[str, str] | None = None,
) -> PlacementGroup:
    """Ask for a placement group; does not wait until it is placed.

    Parameters
    ----------
    bundles
        Amounts by name of the resource; each bundle is on one node.
    strategy
        PACK (the default), SPREAD, STRICT_PACK (all on one node) or STRICT_SPREAD (each on another).
    name
        Under which `get_placement_group` finds it.
    lifetime
        ``"detached"``: it outlives this job.
    _soft_target_node_id
        With STRICT_PACK: the node, in hex, that is the first choice.
    bundle_label_selector
        For each bundle what its node's labels have to be, as a task's ``label_selector``.
    topology_strategy
        Instead of ``strategy``: ``{"ray.io/node-id": strategy, label: "STRICT_PACK"}``, where all its nodes are to have
        the same value of the label. Each part may be left out.

    Raises
    ------
    TypeError
        The name is no text.
    ValueError
        Something that makes no sense.
    RaySystemError
        The name is taken.
    """
    strategy, together = _strategy(strategy, topology_strategy)
    validate_placement_group(bundles, strategy, lifetime, _soft_target_node_id, bundle_label_selector)
    if not isinstance(name, str):
        raise TypeError(f"the name of a placement group must be a text, not {name!r}")
    specs = checked_bundles(bundles)
    labels = _labels(bundle_label_selector, len(specs))
    target = _target(_soft_target_node_id, strategy)
    if any(bundle.get(STORE_MEMORY) for bundle in specs):
        warn_of_store_memory("bundles")
    client = connect()
    execution = client.execution()
    # What an actor asks for is its own, whoever has called it.
    job = (client.root if execution.actor_id else execution).context.job
    group = PlacementGroupID(secrets.token_bytes(PlacementGroupID.SIZE - len(job)) + job)
    detached = lifetime == "detached"
    message = CreateGroup(
        0, group.binary(), specs, strategy, name, execution.context.namespace, detached, job, labels, together, target,
        execution.actor_id, client.actor_restarts,
    )  # fmt: skip
    client.request(client.gcs, message)
    return PlacementGroup(group, specs)


def validate_placement_group(
    bundles: Sequence[Mapping[str, float]],
    strategy: str | None = None,
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: Sequence[Mapping[str, str]] | None = None,
    topology_strategy: Mapping[str, str] | None = None,
) -> bool:
    """Whether `placement_group` takes these: True, or an error.

    Raises
    ------
    ValueError
        Something makes no sense; the message says what.
    """
    strategy, _ = _strategy(strategy, topology_strategy)
    if strategy not in STRATEGIES:
        raise ValueError(f"Invalid placement group strategy {strategy}. Supported strategies are: {set(STRATEGIES)}.")
    if lifetime not in (None, "detached"):
        raise ValueError(f"Placement group `lifetime` argument must be either `None` or 'detached'. Got {lifetime}.")
    _labels(bundle_label_selector, len(checked_bundles(bundles)))
    _target(_soft_target_node_id, strategy)
    return True


def check_placement_group_index(placement_group: PlacementGroup, bundle_index: int) -> None:
    """Refuse the number of a bundle that the group does not have; -1 stands for any.

    Raises
    ------
    ValueError
        It has none of that number.
    """
    count = placement_group.bundle_count
    if placement_group.is_empty and bundle_index != -1:
        raise ValueError("If placement group is not set, the value of bundle index must be -1.")
    if not placement_group.is_empty and not -1 <= bundle_index < count:
        raise ValueError(
            f"placement group bundle index {bundle_index} is invalid. Valid placement group indexes: 0-{count - 1}"
        )


def _strategy(strategy: str | None, topology: Mapping[str, str] | None) -> tuple[str, str]:
    """How bundles are spread over nodes, and the label of which these have the same value."""
    if topology is None:
        return strategy or "PACK", ""
    if strategy is not None:
        raise ValueError("placement_group() takes a strategy or a topology_strategy, not both")
    if not isinstance(topology, Mapping) or not all(
        isinstance(each, str) for pair in topology.items() for each in pair
    ):
        raise ValueError(f"topology_strategy has strategies by name of a label, not {topology!r}")
    together = [label for label in topology if label != NODE_ID_LABEL]
    if len(together) > 1:
        raise ValueError(f"topology_strategy takes one label beside {NODE_ID_LABEL}, not {', '.join(together)}")
    for label in together:
        if topology[label] != "STRICT_PACK":
            raise ValueError(f"the topology_strategy of {label!r} can be 'STRICT_PACK' only, not {topology[label]!r}")
    return topology.get(NODE_ID_LABEL, "PACK"), "".join(together)


def _labels(given: Any, bundles: int) -> list[tuple[LabelRule, ...]]:
    if not given:
        return []
    rules = checked_selectors(given)
    if len(given) != bundles:
        raise ValueError(
            f"Invalid bundle label selector {given}. The length of `bundle_label_selector` should equal the length of "
            f"`bundles`: {len(given)} for {bundles} bundles."
        )
    return rules


def checked_selectors(given: Any) -> list[tuple[LabelRule, ...]]:
    """What is asked of the nodes of bundles.

    Raises
    ------
    ValueError
        It is no list of dictionaries of texts, or no label can be like that.
    """
    if not isinstance(given, list):
        raise ValueError(f"Placement group bundle_label_selector must be a list, got {type(given)}.")
    for selector in given:
        if not isinstance(selector, Mapping) or not all(
            isinstance(text, str) for pair in selector.items() for text in pair
        ):
            raise ValueError(
                "Bundle label selector must be a list of string dictionary label selectors, for example "
                f'[{{"market": "spot"}}, {{}}], not {given!r}'
            )
        if problem := selector_problem(selector):
            raise ValueError(f"Invalid label selector provided in bundle_label_selector {given!r}: {problem}")
    return list(map(label_rules, given))


def _target(node_id: str | None, strategy: str) -> bytes:
    if not node_id:
        return b""
    if strategy != "STRICT_PACK":
        raise ValueError(f"_soft_target_node_id currently only works with STRICT_PACK but got {strategy}")
    try:
        return bytes.fromhex(node_id)
    except ValueError:
        raise ValueError(f"Invalid hex ID of _soft_target_node_id, got {node_id}") from None


def checked_bundles(bundles: Any) -> list[dict[str, float]]:
    """The amounts of each, without zeros.

    Raises
    ------
    ValueError
        Something makes no sense; the message says what.
    """
    if not isinstance(bundles, list | tuple):
        raise ValueError(f"Placement group bundles must be a list, got {type(bundles)}. {EXAMPLE}")
    if not bundles:
        raise ValueError(f"{EXAMPLE} Got empty list instead.")
    found: list[dict[str, float]] = []
    for bundle in bundles:
        if not isinstance(bundle, Mapping) or not all(isinstance(name, str) for name in bundle):
            raise ValueError(f"{EXAMPLE} A bundle is a dictionary of amounts by name of the resource, not {bundle!r}")
        if not bundle or all(not amount for amount in bundle.values()):
            raise ValueError(
                f"Bundles cannot be an empty dictionary or resources with only 0 values. Bundles: {bundles}"
            )
        if BUNDLE in bundle:
            raise ValueError(f"{EXAMPLE} {BUNDLE!r} can't be asked for, since each bundle has it: {bundle!r}")
        for resource, amount in bundle.items():
            if not isinstance(resource, str):
                raise ValueError(f"{EXAMPLE} A bundle has amounts by name of the resource, not by {resource!r}")
            if isinstance(amount, bool) or not isinstance(amount, Real):
                raise ValueError(f"{EXAMPLE} The amount of {resource!r} in a bundle must be a number, not {amount!r}")
            if not 0 <= float(amount) < inf or 0 < float(amount) < SMALLEST:
                raise ValueError(f"The amount of {resource!r} in a bundle must be 0, or {SMALLEST} at least: {amount}")
        found.append({resource: float(amount) for resource, amount in bundle.items() if amount})
    return found


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Give its resources back. What runs in it is ended, and what waits for it fails. No error if it is gone."""
    if not isinstance(placement_group, PlacementGroup):
        raise TypeError(f"remove_placement_group() takes a placement group, not {type(placement_group).__name__}")
    client = connect()
    client.request(client.gcs, RemoveGroup(0, placement_group.id.binary()))


def get_placement_group(placement_group_name: str) -> PlacementGroup:
    """The placement group of a name, of this process's namespace.

    Raises
    ------
    ValueError
        There is none.
    """
    if not placement_group_name:
        raise ValueError("Please supply a non-empty value to get_placement_group")
    namespace = connect().execution().context.namespace
    for row in _rows():
        named = (row["name"], row["ray_namespace"]) == (placement_group_name, namespace)
        if named and row["state"] != "REMOVED":
            bundles = [bundle["unit_resources"] for bundle in row["bundles"]]
            return PlacementGroup(PlacementGroupID.from_hex(row["placement_group_id"]), bundles)
    raise ValueError(f"Failed to look up placement group with name: {placement_group_name}")


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """What is known of a placement group; of all, by id in hex, without one.

    Returns
    -------
    dict
        ``placement_group_id``, ``name``, ``bundles`` and ``bundles_to_node_id`` by number, ``strategy``, ``state``
        (PENDING, CREATED, RESCHEDULING or REMOVED) and ``stats``, which say how long its placement has taken, in
        milliseconds, and why it is not placed. Empty for a group that is not known.
    """
    if placement_group is not None:
        if not isinstance(placement_group, PlacementGroup):
            kind = type(placement_group).__name__
            raise TypeError(f"placement_group_table() takes a placement group, not {kind}")
        row = _row(placement_group.id.hex())
        return _entry(row) if row is not None else {}
    return {row["placement_group_id"]: _entry(row) for row in _rows()}


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    bundles = {bundle["bundle_id"]["bundle_index"]: bundle for bundle in row["bundles"]}
    return {
        "placement_group_id": row["placement_group_id"],
        "name": row["name"],
        "bundles": {index: bundle["unit_resources"] for index, bundle in bundles.items()},
        "bundles_to_node_id": {index: bundle["node_id"] for index, bundle in bundles.items()},
        "strategy": row["strategy"],
        "state": row["state"],
        "stats": _stats(row["stats"]),
    }


def _stats(stats: Mapping[str, Any]) -> dict[str, Any]:
    """The state API's, with latencies in milliseconds."""
    latencies = {f"{name}_ms": int(stats[f"{name}_us"]) / 1000 for name in LATENCIES}
    return {**latencies, **{name: value for name, value in stats.items() if not name.endswith(("_us", "_ns"))}}


def get_current_placement_group() -> PlacementGroup | None:
    """The placement group in which the calling task or actor runs; None outside of one, and in a driver."""
    execution = EXECUTION.get() or connect().execution()
    group = group_of(execution.resources)
    return PlacementGroup(PlacementGroupID(group)) if group is not None else None


def _rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query("placement_groups", limit=100_000, detail=True)["rows"]
    return found


def _row(hex_id: str) -> dict[str, Any] | None:
    rows = query("placement_groups", limit=1, detail=True, id=hex_id)["rows"]
    return rows[0] if rows else None
