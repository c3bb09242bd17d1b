"""Clusters of several nodes: real ones, all on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nodes import Nodes, several_nodes


@pytest.fixture(scope="session", autouse=True)
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clusters that others have started on this machine are not to be found here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A head node of one CPU, joined by this process; `Nodes.add` adds others."""
    with several_nodes() as found:
        yield found


@pytest.fixture(scope="module")
def lasting_nodes() -> Iterator[Nodes]:
    """The same for a module of tests: whoever adds nodes must not mind those that are there."""
    with several_nodes() as found:
        yield found
