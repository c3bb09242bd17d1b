"""The API's specification runs on a real cluster: raynb's, or Ray's to check the specification.

RAYNB_TEST_MODULE=ray runs it on Ray, in an environment that has Ray.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import module
from tests.support.cluster import cluster_of
from tests.support.module import Ray


@pytest.fixture(scope="session", autouse=True)
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clusters that others have started on this machine are not to be found here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(scope="session")
def bare_ray() -> Ray:
    """The module under test, without a cluster."""
    return module.module()


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    """A cluster of four CPUs and two `special` for a module of tests; the mapping of `init`."""
    with cluster_of(bare_ray, resources={"special": 2}, namespace="spec") as context:
        yield context


@pytest.fixture
def ray(bare_ray: Ray, cluster: Any) -> Ray:
    """The module under test, connected to the cluster of this module of tests."""
    return bare_ray


@pytest.fixture
def errors(bare_ray: Ray) -> Any:
    """The module of the exceptions."""
    return bare_ray.exceptions


@pytest.fixture
def raynb_only() -> None:
    if not module.IS_RAYNB:
        pytest.skip("Ray has nothing like this")


@pytest.fixture
def python() -> str:
    return sys.executable
