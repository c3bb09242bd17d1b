"""The libraries run on a real cluster: raynb's, or Ray's to check the specification."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import module
from tests.support.cluster import CPUS, cluster_of
from tests.support.module import Ray


@pytest.fixture(scope="session", autouse=True)
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clusters that others have started on this machine are not to be found here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(scope="module")
def ray() -> Iterator[Ray]:
    """The module under test, connected to a cluster of four CPUs."""
    ray = module.module()
    with cluster_of(ray, num_cpus=CPUS, namespace="spec"):
        yield ray


@pytest.fixture
def util(ray: Ray) -> Any:
    return importlib.import_module(f"{module.NAME}.util")


@pytest.fixture
def raynb_only() -> None:
    if not module.IS_RAYNB:
        pytest.skip("Ray has nothing like this, or does it otherwise")
