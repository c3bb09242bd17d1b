"""Errors and printed lines of a cluster, as tests listen to them; under the names of ``ray._private.test_utils``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from raynb._private.pubsub import GcsErrorSubscriber, GcsLogSubscriber, Told

__all__ = [
    "get_error_message",
    "get_log_batch",
    "get_log_data",
    "get_log_message",
    "get_log_sources",
    "init_error_pubsub",
    "init_log_pubsub",
]

Matcher = Callable[[Any], Any]


def init_error_pubsub() -> GcsErrorSubscriber:
    """Listen to errors from now on."""
    subscriber = GcsErrorSubscriber()
    subscriber.subscribe()
    return subscriber


def get_error_message(
    subscriber: GcsErrorSubscriber, num: float = 1e6, error_type: str | None = None, timeout: float = 20
) -> list[Told]:
    """So many errors at most, of a type if one is given, that come within so many seconds: ``job_id``, ``type``,
    ``error_message``, ``timestamp``."""
    found: list[Told] = []
    deadline = time.monotonic() + timeout
    while len(found) < num:
        _, told = subscriber.poll(timeout=deadline - time.monotonic())
        if told is None:
            break
        if error_type in (None, told["type"]):
            found.append(told)
    return found


def init_log_pubsub() -> GcsLogSubscriber:
    """Listen from now on to what tasks print."""
    subscriber = GcsLogSubscriber()
    subscriber.subscribe()
    return subscriber


def get_log_data(
    subscriber: GcsLogSubscriber,
    num: float = 1e6,
    timeout: float = 20,
    job_id: str | None = None,
    matcher: Matcher | None = None,
) -> list[Told]:
    """So many batches of lines at most, each with a line that matches."""
    fits = None if matcher is None else lambda batch: any(matcher(line) for line in batch["lines"])
    return get_log_batch(subscriber, num, timeout, job_id, fits)


def get_log_message(
    subscriber: GcsLogSubscriber,
    num: float = 1e6,
    timeout: float = 20,
    job_id: str | None = None,
    matcher: Matcher | None = None,
) -> list[list[str]]:
    """The lines of `get_log_data`."""
    return [batch["lines"] for batch in get_log_data(subscriber, num, timeout, job_id, matcher)]


def get_log_sources(
    subscriber: GcsLogSubscriber,
    num: float = 1e6,
    timeout: float = 20,
    job_id: str | None = None,
    matcher: Matcher | None = None,
) -> set[str]:
    """The processes of `get_log_data`."""
    return {batch["pid"] for batch in get_log_data(subscriber, num, timeout, job_id, matcher)}


def get_log_batch(
    subscriber: GcsLogSubscriber,
    num: float = sys.maxsize,
    timeout: float = 20,
    job_id: str | None = None,
    matcher: Matcher | None = None,
) -> list[Told]:
    """So many batches of lines at most that come within so many seconds and match: ``ip``, ``pid``, ``job``,
    ``is_err``, ``lines``, ``actor_name``, ``task_name``."""
    found: list[Told] = []
    for batch in _batches(subscriber, timeout):
        if (job_id is None or batch["job"] == job_id) and (matcher is None or matcher(batch)):
            found.append(batch)
            if len(found) >= num:
                break
    return found


def _batches(subscriber: GcsLogSubscriber, timeout: float) -> Iterator[Told]:
    deadline = time.monotonic() + timeout
    while (batch := subscriber.poll(timeout=max(0.0, deadline - time.monotonic()))) is not None:
        yield batch
