"""Every limit of the runtime, in one place, with its unit in its name.

A value can be changed for a whole cluster through ``init(_system_config={...})``; it then travels with the session.
"""

from __future__ import annotations

from msgspec import Struct

PROTOCOL_VERSION = 1


class Config(Struct, frozen=True, kw_only=True):
    """Limits and tunables of one cluster."""

    # Values and messages
    inline_limit_bytes: int = 64 * 1024
    """Up to this size a value travels in messages and lives with its owner (Ray's max_direct_call_object_size, 100 KB).
    Beyond it, shared memory is the faster way: measured, they cross between 48 and 64 KB."""
    message_limit_bytes: int = 512 * 1024 * 1024
    function_blob_limit_bytes: int = 64 * 1024 * 1024

    # Scheduling
    batch_work_ms: float = 5.0
    """Unstarted work that may lie in a worker's queue."""
    batch_tasks_max: int = 2000
    batch_bytes_max: int = 4 * 1024 * 1024
    lease_idle_s: float = 0.2
    """An idle lease is kept this long for the next task of its class."""
    lease_demand_max: int = 1024
    result_flush_ms: float = 1.0
    worker_result_cache_bytes: int = 4 * 1024 * 1024
    """Small results that a worker keeps for dependents in its own queue."""

    # Lost objects
    lineage_bytes_max: int = 1024 * 1024 * 1024
    """Calls that are kept to make lost values again take so many bytes at most, in each process that has made them
    (Ray's max_lineage_bytes)."""

    # Workers
    worker_start_timeout_s: float = 30.0
    worker_idle_s: float = 5.0
    """Idle workers beyond the node's CPUs are ended after this."""
    workers_max: int = 512

    # Store
    store_fraction: float = 0.3
    segment_bytes: int = 256 * 1024 * 1024
    client_extent_bytes: int = 8 * 1024 * 1024
    own_extent_bytes: int = 1024 * 1024
    """An object of this size or larger gets a grant of its own."""
    store_full_timeout_s: float = 10.0
    transfer_chunk_bytes: int = 1024 * 1024
    """In pieces of this size objects go from node to node."""
    transfer_window: int = 4
    """So many of them are under way for one object."""
    spill_directory: str = ""
    """Where objects go that memory has no room for; empty: to the session's folder, if that is on a disk; ``off``:
    nowhere, so that a full store is an error."""
    spill_disk_fraction: float = 0.95
    """The disk is filled no further than this (Ray's local_fs_capacity_threshold)."""

    # Memory
    memory_usage_threshold: float = 0.9
    """Where more of the machine's memory is used, a worker is stopped (see `core.memory_pressure`)."""
    memory_limit_bytes: int = 0
    """What the workers of a node may use together, shared memory apart; 0: whatever the machine has."""
    memory_monitor_s: float = 0.25
    """So often that is looked at; 0: never."""

    # Debugging
    failures_kept: int = 20
    """So many failed tasks a notebook keeps, to run one of them again."""
    failures_kept_bytes: int = 100 * 1024 * 1024
    """At most so much is kept in memory and in the store for that."""

    # Time
    tick_s: float = 0.05
    retry_request_s: float = 1.0
    interrupt_patience_s: float = 5.0
    """What was interrupted may go on for so long; then its process is ended, if it is no actor's."""
    interrupt_settle_s: float = 0.7
    """References to what was interrupted settle after this, whether it has stopped or not."""
    force_patience_s: float = 2.0
    """A worker whose task is cancelled by force may end itself for so long; then its node manager ends it."""
    actor_end_patience_s: float = 30.0
    """So long an actor may take to end that nobody refers to, or that wants to; then its process is killed."""
    record_call_sites: bool = False
    """Whether it is noted where each task and each actor's method is called, as it is where each object is put."""
    driver_grace_s: float = 60.0
    node_status_s: float = 0.1
    garbage_pause_s: float = 10.0
    """At least so long passes before processes are asked again to look for garbage of Python's."""
    spread_threshold: float = 0.5
    """So much of a node's CPUs and memory is taken before tasks go to others that are emptier; 0 to 1."""

    # Events
    event_flush_s: float = 0.15
    event_rows_max: int = 50_000
    hub_tasks_max: int = 200_000
