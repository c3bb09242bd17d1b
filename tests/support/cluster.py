"""A real cluster for a while, that must leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import module
from tests.support.leaks import Before
from tests.support.module import Ray

CPUS = 4


@cache
def start_pyzmqs_own_thread() -> None:
    """The one that frees what was sent without a copy.

    It begins with the first such message of a process and ends with the process: no cluster left it.
    """
    import zmq

    with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
        here.bind("inproc://warm-up")
        there.connect("inproc://warm-up")
        here.send(bytes(zmq.COPY_THRESHOLD), copy=False)
        there.recv()


@contextmanager
def cluster_of(ray: Ray, **options: Any) -> Iterator[Any]:
    """Start a cluster, give what `init` returned, stop it, and look for what it left behind."""
    if module.IS_RAYNB:
        start_pyzmqs_own_thread()
    before = Before.now()
    context = ray.init(**{"num_cpus": CPUS, "include_dashboard": False, **options})
    session = Path(context["session_dir"]).name
    try:
        yield context
    finally:
        ray.shutdown()
    if module.IS_RAYNB:
        before.assert_nothing_left(session)
