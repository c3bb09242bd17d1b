"""Acting on tasks, actors and objects whose owner may be busy, stopped or dead: who asks whom.

A task's cancellation is a *tombstone* at the node managers, which they pass on to all their clients: a worker refuses
the task or interrupts it, whoever pushes it, and its owner, when it gets to it, settles the task as cancelled and
doesn't try it again. What an owner alone can do (free an object, try a failed task again) it is asked twice: first
whether it is there, and only then to do it. So nothing is done long after somebody was told that it was not.
"""

from __future__ import annotations

from msgspec import Struct


class ActRequest(Struct, array_like=True, gc=False, tag=130):
    """Client or guest -> GCS. Answered by a `Reply`.

    Attributes
    ----------
    action
        cancel | retry | kill_actor | free | scale
    target
        Id of the task, actor or object in hex; the number of CPUs for scale.
    """

    request: int
    action: str
    target: str


class OwnerAct(Struct, array_like=True, gc=False, tag=131):
    """GCS -> each client, then (``go``) to the one that is its owner. Answered by a `Reply`.

    Without ``go`` its data says whether this process is the owner (b"1"), an error why it could not do it.
    """

    request: int
    action: str
    """retry | free"""
    target: bytes
    go: bool = False


class CancelTasks(Struct, array_like=True, gc=False, tag=132):
    """GCS -> node manager: write tombstones of these tasks. Answered by a `Reply` when its clients have been told."""

    request: int
    task_ids: list[bytes]


class Tombstones(Struct, array_like=True, gc=False, tag=133):
    """Node manager -> its clients: these tasks are cancelled. A worker answers with `TombstonesSeen`.

    Attributes
    ----------
    again
        Nothing is interrupted (any more): this is for one that comes later, or that has not stopped yet.
    force
        A worker that has one of them under way ends itself.
    """

    task_ids: list[bytes]
    again: bool = False
    force: bool = False


class TombstonesSeen(Struct, array_like=True, gc=False, tag=134):
    """Worker -> node manager: of those that it was told of it has these under way."""

    task_ids: list[bytes]
    running: list[bytes]
