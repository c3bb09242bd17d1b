"""A notebook, and a cluster of two CPUs for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raynb.runtime.api import session
from tests.magics.notebook import Notebook
from tests.support.leaks import processes_of, shared_memory_of
from tests.support.waiting import wait_until


@pytest.fixture(scope="session")
def _notebook() -> Iterator[Notebook]:
    made = Notebook()
    yield made
    made.close()


@pytest.fixture
def notebook(_notebook: Notebook) -> Notebook:
    """A notebook with nothing in it."""
    _notebook.clear()
    return _notebook


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster for the cells of a module of tests; nothing of it may stay."""
    context = session.init(num_cpus=2, include_dashboard=False)
    yield
    session.shutdown()
    # Files and threads of this process are not looked at: IPython keeps an event loop, pyzmq a thread.
    name = Path(context["session_dir"]).name
    wait_until(lambda: not processes_of(name) and not shared_memory_of(name), what=f"nothing left of {name}")
