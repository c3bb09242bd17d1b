"""What a program publishes of errors and warnings, for who listens to its cluster; the last ones are kept there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from raynb.runtime.client.client import Client
from raynb.runtime.client.ids import JobID
from raynb.runtime.codec.captures import LARGE_BYTES
from raynb.runtime.messages import Message
from raynb.runtime.messages.errors import RayError
from raynb.runtime.messages.gcs import KvDelete, KvKeys, KvPut

PLACE: Final = b"published errors"
PREFIX: Final = b"user:" + PLACE + b":"
KEPT_MAX: Final = 100
"""The oldest go first."""
PATIENCE_S: Final = 2.0
LARGE_FUNCTION: Final = "pickling_large_object"

Ask = Callable[[Message], bytes]
"""Sends a request to the GCS, and gives the answer's data."""


def publish(ask: Ask, kind: str, words: str, job: bytes) -> None:
    """Tell who listens.

    Parameters
    ----------
    job
        Whose it is; the nil id: everybody's.
    """
    told = {"job_id": job, "type": kind, "error_message": words, "timestamp": time.time()}
    key = b"%s%020d %s" % (PREFIX, time.time_ns(), os.urandom(4).hex().encode())
    ask(KvPut(0, key, msgspec.msgpack.encode(told), False))
    for old in msgspec.msgpack.decode(ask(KvKeys(0, PREFIX)), type=list[bytes])[:-KEPT_MAX]:
        ask(KvDelete(0, old))


def publish_large_function(client: Client, name: str, nbytes: int) -> None:
    """Tell that a function or a class is large, if it is. The warning itself is another's (`LargeCaptureWarning`); that
    a GCS which is away is not told harms nobody."""
    if nbytes < LARGE_BYTES:
        return
    words = f"{name} is large: it has {nbytes / 2**20:.0f} MiB, with what it captures"
    with suppress(RayError):
        publish(
            lambda message: client.request(client.gcs, message, PATIENCE_S),
            LARGE_FUNCTION,
            words,
            JobID(client.execution().context.job).binary(),
        )
