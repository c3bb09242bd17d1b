"""Identifiers: plain bytes of fixed size, made without a lock, without randomness at use, and without a round trip.

A process draws one random *origin* when it starts; every task id it makes after that is a counter in front of
that origin, so ids of one process sort by submission and ids of two processes never meet.

==========  =====  ==========================================================
id          bytes  made of
==========  =====  ==========================================================
job         4      random
actor       16     12 of its creator's next task id's origin and counter, job
task        24     counter (8, big endian), origin (12), job (4)
object      28     task id, index of the return value (4, little endian)
node        28     random
worker      28     random
function    16     SHA-256 of its pickle, truncated
==========  =====  ==========================================================

The sizes are those of Ray's ids, so that programs that print or compare hex ids keep working.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

JOB_ID_BYTES = 4
ACTOR_ID_BYTES = 16
TASK_ID_BYTES = 24
OBJECT_ID_BYTES = 28
NODE_ID_BYTES = 28
WORKER_ID_BYTES = 28
FUNCTION_ID_BYTES = 16

ORIGIN_BYTES = 12
COUNTER_BYTES = 8

#: The suffix that turns a task id into the id of its first return value; by far the most common one.
FIRST_RETURN = (1).to_bytes(4, "little")

#: Object ids made by ``put`` carry indexes from here on, so that they never meet a return value's.
PUT_INDEX_BASE = 1 << 31


def object_id(task_id: bytes, index: int) -> bytes:
    """Id of the return value ``index`` (from 1, as Ray counts) of a task."""
    return task_id + index.to_bytes(4, "little")


def task_of(oid: bytes) -> bytes:
    """Id of the task whose call or ``put`` made this object."""
    return oid[:TASK_ID_BYTES]


def index_of(oid: bytes) -> int:
    """The index of an object among those of its task."""
    return int.from_bytes(oid[TASK_ID_BYTES:], "little")


def actor_id_of(creation_task_id: bytes) -> bytes:
    """Id of the actor that a task creates: the ends of its counter and origin, and its job."""
    unique = ACTOR_ID_BYTES - JOB_ID_BYTES
    start = COUNTER_BYTES // 2
    return creation_task_id[start : start + unique] + creation_task_id[-JOB_ID_BYTES:]


def worker_log(worker_id: str, suffix: str = "") -> str:
    """Name of a worker's log, by its id in hex, which ends with the worker's number on its node."""
    number = int.from_bytes(bytes.fromhex(worker_id)[20:], "big")
    return f"worker-w{number}{suffix and f'.{suffix}'}"


def task_id_source(origin: bytes, job: bytes) -> Callable[[], bytes]:
    """Make a function that gives a new task id at each call.

    Parameters
    ----------
    origin : bytes
        12 random bytes, drawn once for the process.
    job : bytes
        The 4 bytes of the job on whose behalf the process works.

    Returns
    -------
    Callable[[], bytes]
        Safe to call from several threads: ``itertools.count`` advances in one step under the interpreter lock.
    """
    if len(origin) != ORIGIN_BYTES or len(job) != JOB_ID_BYTES:
        raise ValueError(
            f"an origin has {ORIGIN_BYTES} bytes and a job {JOB_ID_BYTES}: got {len(origin)} and {len(job)}"
        )
    suffix = origin + job
    step = count(1).__next__

    def next_task_id() -> bytes:
        return step().to_bytes(COUNTER_BYTES, "big") + suffix

    return next_task_id
