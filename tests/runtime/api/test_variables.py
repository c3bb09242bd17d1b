"""What variables of the environment that Ray has say of a cluster, and references and options from before one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import cluster_of
from tests.support.module import NAME, Ray

HOOK = """
def add(env):
    return {**(env or {}), "env_vars": {"FROM_THE_HOOK": "yes"}}
"""


@pytest.fixture(autouse=True)
def unconnected(bare_ray: Ray) -> None:
    if bare_ray.is_initialized():
        bare_ray.shutdown()


def test_a_variable_says_what_a_node_has(bare_ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 3, "special": 5}')
    with cluster_of(bare_ray, num_cpus=1, resources={"special": 1, "other": 2}) as _:
        has = bare_ray.cluster_resources()
        assert (has["CPU"], has["special"], has["other"]) == (3, 5, 2)


def test_a_variable_that_says_nothing_of_resources_is_refused(bare_ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("CPU=3", '{"CPU": "many"}', "[1]"):
        monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", text)
        with pytest.raises(ValueError, match="RAY_OVERRIDE_RESOURCES"):
            bare_ray.init()


def test_a_hook_completes_the_jobs_environment(bare_ray: Ray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hooks_of_a_test.py").write_text(HOOK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RAY_RUNTIME_ENV_HOOK", "hooks_of_a_test.add")

    def look() -> Any:
        import os

        return os.environ.get("FROM_THE_HOOK")

    with cluster_of(bare_ray) as _:
        assert bare_ray.get(bare_ray.remote(look).remote(), timeout=30) == "yes"
    monkeypatch.setenv("RAY_RUNTIME_ENV_HOOK", "hooks_of_a_test.nothing")
    with pytest.raises(Exception, match="nothing"):
        bare_ray.init(num_cpus=1)
    assert not bare_ray.is_initialized()


def test_a_reference_is_an_id_where_there_is_no_cluster(bare_ray: Ray) -> None:
    ref = bare_ray.ObjectRef(b"\x01" * 28)
    assert ref.hex() == "01" * 28
    assert ref == bare_ray.ObjectRef(b"\x01" * 28)
    with pytest.raises(ValueError, match="28"):
        bare_ray.ObjectRef(b"\x01")
    with cluster_of(bare_ray) as _, pytest.raises(ValueError, match="owner is unknown"):
        bare_ray.get(ref, timeout=1)


def test_the_older_option_of_placement_groups_is_warned_of(bare_ray: Ray) -> None:
    groups = importlib.import_module(f"{NAME}.util.placement_group")
    with cluster_of(bare_ray) as _:
        group = groups.placement_group([{"CPU": 1}])
        with pytest.warns(DeprecationWarning, match="placement_group"):
            ref = bare_ray.remote(lambda: 1).options(placement_group=group).remote()
        assert bare_ray.get(ref, timeout=30) == 1
        with pytest.warns(DeprecationWarning, match="placement_group"):
            bare_ray.remote(type("Made", (), {})).options(placement_group=group, num_cpus=0).remote()


def test_accelerators_of_all_kinds_are_told(bare_ray: Ray) -> None:
    with cluster_of(bare_ray) as _:
        told = bare_ray.get_runtime_context().get_accelerator_ids()
        assert {"GPU", "TPU", "neuron_cores", "HPU"} <= told.keys()
        assert not any(told.values())
