"""A real cluster for a while, that must leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import module
from tests.support.leaks import Before
from tests.support.module import Ray

CPUS = 4


@contextmanager
def cluster_of(ray: Ray, **options: Any) -> Iterator[Any]:
    """Start a cluster, give what `init` returned, stop it, and look for what it left behind."""
    before = Before.now()
    context = ray.init(**{"num_cpus": CPUS, "include_dashboard": False, "logging_level": "error", **options})
    session = Path(context["session_dir"]).name
    try:
        yield context
    finally:
        ray.shutdown()
    if module.IS_RAYNB:
        before.assert_nothing_left(session)
