"""Numbers for people: amounts of resources, bytes, times; and how short an id may be."""

from __future__ import annotations

import time
from collections.abc import Mapping

from raynb.runtime.client.why import span
from raynb.runtime.messages.ids import COUNTER_BYTES
from raynb.runtime.messages.sizes import size_text

ORIGIN_DIGITS = 4
"""Of an id's origin: enough to tell the processes of a cluster apart."""


def amounts(resources: Mapping[str, float]) -> str:
    """Resources in a line: ``2 CPU, 1.5 GB memory``."""
    shown = [name for name in sorted(resources, key=order) if not name.startswith("node:")]
    return ", ".join(f"{amount(name, resources[name])} {name}" for name in shown)


def amount(resource: str, value: float) -> str:
    """An amount of a resource."""
    return size_text(value) if resource in {"memory", "object_store_memory"} else f"{value:g}"


def order(resource: str) -> tuple[bool, str]:
    """CPUs and GPUs first."""
    return resource not in {"CPU", "GPU"}, resource


def size(bytes: float) -> str:
    """Bytes for people; nothing for none."""
    return size_text(bytes) if bytes else ""


def ago(milliseconds: int | None) -> str:
    """How long ago a moment is, given in milliseconds since the epoch."""
    return f"{span(max(0.0, time.time() - milliseconds / 1000))} ago" if milliseconds else ""


def lasted(begin_ms: int | None, end_ms: int | None) -> str:
    """The time between two moments; until now where there is no end; nothing without a beginning."""
    if not begin_ms:
        return ""
    end = end_ms / 1000 if end_ms else time.time()
    return span(max(0.0, end - begin_ms / 1000))


def count(number: int, what: str) -> str:
    """``1 task``, ``12,345 tasks``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def short_task(task_id: str) -> str:
    """A task's id, in hex, as people read it: its number, and whose."""
    counter = 2 * COUNTER_BYTES
    return f"{task_id[:counter].lstrip('0') or '0'}-{task_id[counter : counter + ORIGIN_DIGITS]}"


def short_actor(actor_id: str) -> str:
    """The same of an actor's, whose id is cut out of that of the task that creates it."""
    return f"{actor_id[:COUNTER_BYTES].lstrip('0') or '0'}-{actor_id[COUNTER_BYTES : COUNTER_BYTES + ORIGIN_DIGITS]}"
