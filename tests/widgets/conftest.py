"""A cluster of two CPUs, and gates that hold its tasks up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raynb.runtime.api import session
from tests.support.cluster import start_pyzmqs_own_thread
from tests.support.leaks import processes_of, shared_memory_of
from tests.support.waiting import wait_until


@pytest.fixture
def cluster() -> Iterator[str]:
    """The name of the session of a cluster; nothing of it may stay."""
    start_pyzmqs_own_thread()
    context = session.init(num_cpus=2, name="test", include_dashboard=False)
    name = Path(context["session_dir"]).name
    yield name
    session.shutdown()
    wait_until(lambda: not processes_of(name) and not shared_memory_of(name), what=f"nothing left of {name}")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that tasks wait for."""
    return tmp_path / "gate"
